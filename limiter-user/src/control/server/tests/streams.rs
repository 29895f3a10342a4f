//! Events, and the end of the server.

use tokio::time::timeout;

use super::{super::GRACE, bench::Bench};
use crate::{
    api::Event,
    control::{
        client::{ClientError, EventLine},
        route::EventFilter,
    },
};

#[tokio::test]
async fn events_flow_from_the_moment_of_subscription() {
    let bench = Bench::start();
    let filter = EventFilter {
        zone: Some("addr".to_owned()),
        ..EventFilter::default()
    };
    let mut lines = bench.client().events(&filter).await.expect("a stream");
    bench.service.publish(event("other"));
    bench.service.publish(event("addr"));
    let line = lines.next().await.expect("a line");
    assert_eq!(line, Some(EventLine::Event(event("addr"))));
}

#[tokio::test]
async fn a_stop_ends_streams_cleanly_and_in_time() {
    let bench = Bench::start();
    let client = bench.client();
    let mut lines = client
        .events(&EventFilter::default())
        .await
        .expect("a stream");
    let _idle = bench.connect().await;
    bench.stop.send(()).expect("running");
    assert_eq!(lines.next().await.expect("a clean end"), None);
    timeout(GRACE * 2, bench.server)
        .await
        .expect("in time")
        .expect("no panic");
    let error = client.status().await.expect_err("stopped");
    assert!(matches!(error, ClientError::NoDaemon { .. }), "{error}");
}

#[tokio::test]
async fn a_subscriber_that_stops_reading_holds_up_nobody() {
    let bench = Bench::start();
    let client = bench.client();
    let mut stalled = client
        .events(&EventFilter::default())
        .await
        .expect("a stream");
    let mut reader = client
        .events(&EventFilter::default())
        .await
        .expect("a stream");
    for _ in 0..10_000 {
        bench.service.publish(event("addr"));
        assert!(reader.next().await.expect("a line").is_some());
    }
    let mut missed = 0;
    let mut seen = 0;
    while missed == 0 {
        match stalled.next().await.expect("a line") {
            Some(EventLine::Missed(line)) => missed = line.missed.expect("a number"),
            Some(EventLine::HistoryFrom(line)) => panic!("nobody asked: {line:?}"),
            Some(EventLine::Event(_)) => seen += 1,
            None => panic!("the stream ended"),
        }
    }
    assert!(seen + missed <= 10_000, "{seen} seen, {missed} missed");
}

fn event(zone: &str) -> Event {
    Event {
        zone: zone.to_owned(),
        ..Event::example()
    }
}
