//! Peers that send too much, or nothing.

use super::bench::Bench;
use crate::control::MAX_HEADERS;

#[tokio::test]
async fn a_body_without_a_length_is_bounded_too() {
    let bench = Bench::start();
    let mut request = b"POST /reset HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        transfer-encoding: chunked\r\n\r\n"
        .to_vec();
    for _ in 0..20 {
        request.extend_from_slice(b"1000\r\n");
        request.extend_from_slice(&[b' '; 0x1000]);
        request.extend_from_slice(b"\r\n");
    }
    let answer = bench.exchange(&request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn endless_headers_are_cut_off() {
    let bench = Bench::start();
    let mut request = b"GET /status HTTP/1.1\r\n".to_vec();
    for i in 0..=MAX_HEADERS {
        request.extend_from_slice(format!("x-{i}: y\r\n").as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    let answer = bench.exchange(&request).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn silent_peers_are_let_go() {
    let bench = Bench::start();
    assert_eq!(bench.exchange(b"GET /status HT").await, "");
    assert_eq!(bench.exchange(b"").await, "");
    let slow = b"POST /reset HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{";
    let answer = bench.exchange(slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}
