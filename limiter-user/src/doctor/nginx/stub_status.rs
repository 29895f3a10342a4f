//! `--stub-status`: what nginx says of itself (ngx_http_stub_status_module).

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, Uri, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::api::doctor::StubStatus;

/// Longest wait for an answer. An nginx that has no connections left does not answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Far above the four lines that it has.
const MOST_BYTES: usize = 64 * 1024;

/// Counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    active: u64,
    accepts: u64,
    handled: u64,
    reading: u64,
    writing: u64,
    waiting: u64,
}

/// An address that can be asked: `http://HOST[:PORT]/PATH`.
///
/// # Errors
///
/// If it is none.
pub fn address(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|e| format!("{e}"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(_)) => Ok(uri),
        _ => Err("expected http://HOST[:PORT]/PATH".to_owned()),
    }
}

/// Asks once.
///
/// # Errors
///
/// If there is no answer, or it is not one of the module.
pub async fn ask(uri: &Uri) -> io::Result<Reading> {
    match timeout(PATIENCE, get(uri)).await {
        Ok(answer) => {
            let answer = answer?;
            parse(&answer)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "that is no stub_status"))
        }
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn get(uri: &Uri) -> io::Result<String> {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, uri.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // Ends when the answer has been read.
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |it| it.as_str());
    let authority = uri.authority().map_or(host, |it| it.as_str());
    let request = Request::get(path)
        .header("host", authority)
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    if !response.status().is_success() {
        return Err(io::Error::other(format!("answered {}", response.status())));
    }
    let body = Limited::new(response.into_body(), MOST_BYTES);
    let body = body.collect().await.map_err(io::Error::other)?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

/// `Active connections: 1`, a line of names, `accepts handled requests`,
/// `Reading: 0 Writing: 1 Waiting: 0`.
fn parse(text: &str) -> Option<Reading> {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|word| !word.is_empty())
        .map(|word| word.parse().ok());
    if !text.starts_with("Active connections:") {
        return None;
    }
    let mut next = || numbers.next().flatten();
    let (active, accepts, handled, _requests) = (next()?, next()?, next()?, next()?);
    Some(Reading {
        active,
        accepts,
        handled,
        reading: next()?,
        writing: next()?,
        waiting: next()?,
    })
}

/// What two readings tell.
pub fn compare(before: &Reading, after: &Reading, interval_ms: u64) -> StubStatus {
    let per_s = |count: u64| count as f64 * 1_000.0 / interval_ms.max(1) as f64;
    let dropped = |reading: &Reading| reading.accepts.saturating_sub(reading.handled);
    StubStatus {
        active: after.active,
        accepts: after.accepts,
        handled: after.handled,
        reading: after.reading,
        writing: after.writing,
        waiting: after.waiting,
        accepts_per_s: per_s(after.accepts.saturating_sub(before.accepts)),
        dropped_per_s: per_s(dropped(after).saturating_sub(dropped(before))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Active connections: 291 \nserver accepts handled requests\n \
                        16630948 16630940 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n";

    #[test]
    fn the_page_is_read_and_nothing_else() {
        let before = parse(TEXT).expect("the page of the module");
        let after = Reading {
            accepts: before.accepts + 30,
            handled: before.handled + 24,
            ..before
        };
        let status = compare(&before, &after, 3_000);
        assert_eq!(
            (
                status.active,
                status.reading,
                status.writing,
                status.waiting
            ),
            (291, 6, 179, 106)
        );
        assert_eq!((status.accepts_per_s, status.dropped_per_s), (10.0, 2.0));
        assert_eq!(parse("<html>1 2 3 4 5 6 7</html>"), None);
        assert_eq!(parse("Active connections: 1"), None);
    }

    #[test]
    fn only_plain_http_can_be_asked() {
        for text in ["http://127.0.0.1/status", "http://[::1]:8080/s", "http://h"] {
            address(text).expect(text);
        }
        for text in ["https://h/", "/status", "ftp://h/", "h:80", ""] {
            address(text).expect_err(text);
        }
    }
}
