//! What a running limiter is asked on its control socket.

use std::net::IpAddr;

use limiter::api::{KeyStatus, Status, ZoneStatus};
use serde::de::DeserializeOwned;

use super::Limiter;
use crate::http::{self, Events, Response};

impl Limiter {
    /// A request on its control socket.
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    pub fn http(&self, method: &str, target: &str, body: Option<&str>) -> Response {
        http::request(&self.control, method, target, body).unwrap_or_else(|e| {
            panic!(
                "{method} {target}: {e}; the limiter said:\n{}",
                self.stderr()
            )
        })
    }

    /// `GET /status`.
    #[track_caller]
    pub fn status(&self) -> Status {
        self.get("/status")
    }

    /// `GET /zones/NAME`.
    #[track_caller]
    pub fn zone(&self, name: &str) -> ZoneStatus {
        self.get(&format!("/zones/{name}"))
    }

    /// The keys of a zone with most connections, at most `count`.
    ///
    /// # Panics
    /// If the daemon leaves them out.
    #[track_caller]
    pub fn top(&self, name: &str, count: usize) -> Vec<KeyStatus> {
        let zone: ZoneStatus = self.get(&format!("/zones/{name}?top={count}"));
        zone.top.expect("the keys that were asked for")
    }

    /// The keys of a zone that were refused most, at most `count`.
    ///
    /// # Panics
    /// If the daemon leaves them out.
    #[track_caller]
    pub fn top_rejected(&self, name: &str, count: usize) -> Vec<KeyStatus> {
        let zone: ZoneStatus = self.get(&format!("/zones/{name}?top={count}&by=rejected"));
        zone.top_rejected.expect("the keys that were asked for")
    }

    /// Whether the zone kept its books: nothing lost, nothing corrected.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn must_be_exact(&self, zone: &str) {
        let zone = self.zone(zone);
        assert_eq!(
            (zone.evicted, zone.drift),
            (0, 0),
            "evicted and drift of {zone:?}"
        );
    }

    /// Connections of one client address in a zone.
    #[track_caller]
    pub fn connections_of(&self, zone: &str, client: IpAddr) -> u32 {
        self.top(zone, 100_000)
            .iter()
            .filter(|key| key.parts.remote_addr == Some(client))
            .map(|key| key.connections)
            .sum()
    }

    /// Subscribes to events.
    pub fn events(&self) -> Events {
        Events::subscribe(&self.control, "")
    }

    #[track_caller]
    fn get<T: DeserializeOwned>(&self, target: &str) -> T {
        let response = self.http("GET", target, None);
        assert_eq!(response.status, 200, "GET {target}: {}", response.body);
        serde_json::from_str(&response.body)
            .unwrap_or_else(|e| panic!("GET {target}: {e}: {}", response.body))
    }
}
