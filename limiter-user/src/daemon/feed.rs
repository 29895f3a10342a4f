//! Events: ring → log and subscribers. One task, so that everybody sees one order.

use std::{sync::Arc, time::Duration};

use limiter_common::event;
use tokio::{
    sync::{broadcast, watch},
    time::sleep,
};
use tracing::{debug, error};

use super::{
    clock::Clock,
    convert::{Moment, convert},
    in_force::InForce,
    log,
    refusal_line::refusal_line,
};
use crate::{api::Event, control::subscription::Published, kernel::EventStream};

/// Pause after a failed read.
const RETRY: Duration = Duration::from_secs(1);

/// Reads until dropped.
pub async fn run(
    mut stream: EventStream,
    policy: watch::Receiver<Arc<InForce>>,
    subscribers: broadcast::Sender<Arc<Published>>,
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
        let moment = Moment::now(&*clock);
        for event in events.drain(..) {
            report(&event, &policy, moment, &subscribers);
        }
    }
}

fn report(
    event: &event::Event,
    policy: &InForce,
    moment: Moment,
    subscribers: &broadcast::Sender<Arc<Published>>,
) {
    let Some(converted) = convert(event, policy, moment) else {
        return debug!("events: {event:?} is none of this version");
    };
    if let Some(line) = refusal_line(&converted) {
        // It is known: the name was found by it.
        if let Some(server) = policy.server(event.server) {
            log::write_event(server.log_level, &line, &converted);
        }
    }
    publish(converted, subscribers);
}

fn publish(event: Event, subscribers: &broadcast::Sender<Arc<Published>>) {
    if subscribers.receiver_count() == 0 {
        return;
    }
    match Published::new(event) {
        // An error says that the last subscriber has just gone.
        Ok(published) => drop(subscribers.send(Arc::new(published))),
        Err(e) => debug!("events: {e}"),
    }
}
