//! Events: ring → log and subscribers. One task, so that everybody sees one order.

use std::{sync::Arc, time::Duration};

use limiter_common::event;
use tokio::{sync::watch, time::sleep};
use tracing::{debug, error};

use super::{
    clock::Clock,
    convert::{Moment, convert},
    in_force::InForce,
    log,
    refusal_line::refusal_line,
};
use crate::{
    control::{feed::Feed, subscription::Published},
    kernel::EventStream,
};

/// Pause after a failed read.
const RETRY: Duration = Duration::from_secs(1);

/// Pause after each read. The programs wake us for the first event in an empty ring, so while events
/// are frequent each of them would; in the pause they gather. The ring has room for far more than
/// the budgets let through meanwhile.
const PACE: Duration = Duration::from_millis(10);

/// What the subscribers are told, beginning with what another daemon has left in the ring.
pub fn begin(stream: &mut EventStream, policy: &InForce, clock: &dyn Clock) -> Arc<Feed> {
    let mut events = Vec::new();
    stream.read_pending(&mut events);
    let feed = Feed::new(stream.id(), stream.newest(), clock.wall());
    report(&mut events, policy, Moment::now(clock), &feed);
    Arc::new(feed)
}

/// Reads until dropped.
pub async fn run(
    mut stream: EventStream,
    policy: watch::Receiver<Arc<InForce>>,
    feed: Arc<Feed>,
    clock: Arc<dyn Clock>,
) {
    let mut events = Vec::new();
    loop {
        if let Err(e) = stream.read(&mut events).await {
            // Enforcement and counting go on in the kernel.
            error!("events: {e}");
            sleep(RETRY).await;
        }
        let policy = Arc::clone(&policy.borrow());
        report(&mut events, &policy, Moment::now(&*clock), &feed);
        sleep(PACE).await;
    }
}

fn report(events: &mut Vec<event::Event>, policy: &InForce, moment: Moment, feed: &Feed) {
    let published = events.drain(..).filter_map(|event| {
        let Some(converted) = convert(&event, policy, moment) else {
            debug!("events: {event:?} is none of this version, or of a policy that is no more");
            return None;
        };
        if let Some(line) = refusal_line(&converted) {
            // It is known: the name was found by it.
            if let Some(server) = policy.server(event.server) {
                log::write_event(server.log_level, &line, &converted);
            }
        }
        let published = Published::new(converted);
        published.map_err(|e| debug!("events: {e}")).ok()
    });
    // Made before anybody has to wait for them.
    feed.publish(published.collect::<Vec<_>>());
}
