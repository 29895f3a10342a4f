//! What is answered on the control socket and at the ports of `metrics` alike.

use super::{
    super::{
        refusal::Refusal,
        route::{ApiRoute, Public, VERSION},
        service::Service,
    },
    answer::{Answer, json, text},
    places::Room,
};
use crate::api::nginx::{LimitConnZone, LimitConnZones};

pub(super) async fn answer<S: Service>(
    service: &S,
    room: &Room,
    wanted: &Public,
) -> Result<Answer, Refusal> {
    match wanted {
        Public::Metrics => text(room, &service.metrics().await?),
        Public::Api(route) => api(service, room, route).await,
    }
}

async fn api<S: Service>(service: &S, room: &Room, route: &ApiRoute) -> Result<Answer, Refusal> {
    match route {
        ApiRoute::Versions => json(room, &[VERSION]),
        ApiRoute::Endpoints => json(room, &["stream"]),
        ApiRoute::StreamEndpoints => json(room, &["limit_conns"]),
        ApiRoute::Zones { fields } => {
            let zones = service.zones().await?;
            json(room, &LimitConnZones::new(&zones, fields.as_deref()))
        }
        ApiRoute::Zone { name, fields } => {
            let zones = service.zones().await?;
            let zone = zones.iter().find(|zone| zone.zone == *name);
            let zone = zone.ok_or_else(|| Refusal::unknown_zone(name))?;
            json(room, &LimitConnZone::new(zone, fields.as_deref()))
        }
    }
}
