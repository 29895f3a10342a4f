//! What is in force in each server: its own directives, and those of the main context in place of
//! the ones that it has none of.

use ipnet::IpNet;
use limiter_common::policy::MAX_NETWORKS;

use super::{
    error::{ConfigError, shown},
    level::Level,
    networks::{self, NamedOverride},
    once::Once,
    server::{self, Draft},
    source::Span,
    zone,
    zones::Zones,
};
use crate::policy::{
    Action, LimitConn, LogLevel, Override, Server,
    origin::{LimitOrigins, Origin, ServerOrigins},
};

/// The servers with everything that they inherit, and where it comes from.
pub(super) fn resolve(
    drafts: &[Draft],
    main: &Level,
    zones: &Zones,
) -> Result<Vec<(Server, ServerOrigins)>, ConfigError> {
    // What is wrong is wrong even if every server has directives of its own.
    limits(main, zones)?;
    for one in main.overrides.all() {
        overridden_zone(one, zones)?;
    }
    let names = server::names(drafts)?;
    let mut servers = Vec::new();
    let mut networks = 0;
    for (draft, (name, name_origin)) in drafts.iter().zip(names) {
        let heir = Heir { draft, main, zones };
        let (server, mut origins) = heir.server(name)?;
        origins.server = name_origin;
        networks += server.networks();
        if networks > MAX_NETWORKS {
            return Err(heir.too_many_networks());
        }
        servers.push((server, origins));
    }
    refuse_idle_overrides(drafts, &servers, main, zones)?;
    Ok(servers)
}

/// A server that inherits from the main context.
struct Heir<'a> {
    draft: &'a Draft,
    main: &'a Level,
    zones: &'a Zones,
}

/// The context that a directive of a server comes from.
struct Source<'a> {
    level: &'a Level,
    inherited: bool,
}

impl Source<'_> {
    fn origin(&self, origin: Origin) -> Origin {
        if self.inherited {
            origin.inherited()
        } else {
            origin
        }
    }
}

impl<'a> Heir<'a> {
    fn server(&self, name: String) -> Result<(Server, ServerOrigins), ConfigError> {
        let (limits, limit_origins) = self.limits()?;
        let (exempt, exempt_origins, exempt_off) = self.exempt();
        let (dry_run, dry_run_origin, _) = self.once(|level| &level.dry_run);
        let (log_level, log_level_origin, _) = self.once(|level| &level.log_level);
        let (action, action_origin, delay_origin) = self.once(|level| &level.action);
        let action: Action = action.unwrap_or_default();
        let listens = self.draft.listens.iter();
        let origins = ServerOrigins {
            block: place(self.draft.place.as_ref()),
            server: Origin::Default,
            listen: listens.clone().map(|(_, place)| place.origin()).collect(),
            limits: limit_origins,
            overrides_off: self.overrides_off(),
            exempt: exempt_origins,
            exempt_off,
            dry_run: dry_run_origin,
            log_level: log_level_origin,
            action: action_origin,
            delay_ms: action.delay_ms().map(|_| delay_origin),
        };
        let server = Server {
            name,
            listen: listens.map(|(listen, _)| *listen).collect(),
            limits,
            exempt,
            dry_run: dry_run.unwrap_or(false),
            log_level: log_level.unwrap_or(LogLevel::Error),
            action,
        };
        Ok((server, origins))
    }

    /// Where directives come from of which the server has some of its own, or none.
    fn source(&self, has_own: bool) -> Source<'a> {
        if has_own {
            return Source {
                level: &self.draft.level,
                inherited: false,
            };
        }
        Source {
            level: self.main,
            // Without any `server`, the main context is the server.
            inherited: self.draft.place.is_some(),
        }
    }

    /// The value, where it comes from, and where its second argument comes from.
    fn once<T: Copy + 'a>(
        &self,
        field: impl Fn(&'a Level) -> &'a Once<T>,
    ) -> (Option<T>, Origin, Origin) {
        let source = self.source(field(&self.draft.level).value().is_some());
        let once = field(source.level);
        (
            once.value().copied(),
            source.origin(once.origin()),
            source.origin(once.option_origin()),
        )
    }

    fn exempt(&self) -> (Vec<IpNet>, Vec<Origin>, Option<Origin>) {
        let source = self.source(self.draft.level.exempt.is_written());
        let exempt = &source.level.exempt;
        let networks = exempt.networks().iter();
        let (networks, origins): (Vec<_>, Vec<_>) = networks
            .map(|(network, place)| (*network, source.origin(place.origin())))
            .unzip();
        let off = networks
            .is_empty()
            .then(|| source.origin(place(exempt.off())));
        (networks, origins, off)
    }

    /// The limits with their overrides.
    fn limits(&self) -> Result<(Vec<LimitConn>, Vec<LimitOrigins>), ConfigError> {
        let source = self.source(!self.draft.level.limits.is_empty());
        let mut limits = limits(source.level, self.zones)?;
        let places = source.level.limits.iter().map(|limit| &limit.place);
        let mut origins: Vec<_> = places
            .map(|place| LimitOrigins {
                limit: source.origin(place.origin()),
                overrides: Vec::new(),
            })
            .collect();
        let source = self.source(self.draft.level.overrides.is_written());
        for one in source.level.overrides.all() {
            let zone = overridden_zone(one, self.zones)?;
            let Some(index) = limits.iter().position(|limit| limit.zone == zone) else {
                // One that is inherited is for those servers that have the limit.
                if std::ptr::eq(source.level, self.main) {
                    continue;
                }
                let nothing = format!("{} has no limit of this zone", self.draft.shown_name());
                return Err(idle_override(one, nothing));
            };
            limits[index].overrides.push(Override {
                network: one.network,
                number: one.number,
            });
            let origin = source.origin(one.place.origin());
            origins[index].overrides.push(origin);
        }
        Ok((limits, origins))
    }

    fn overrides_off(&self) -> Option<Origin> {
        let source = self.source(self.draft.level.overrides.is_written());
        let off = source.level.overrides.off()?;
        Some(source.origin(off.origin()))
    }

    fn too_many_networks(&self) -> ConfigError {
        let in_main = || {
            let exempt = self.main.exempt.networks().iter().map(|(_, place)| place);
            let overrides = self.main.overrides.all().iter().map(|one| &one.place);
            exempt.chain(overrides).last()
        };
        match self.draft.place.as_ref().or_else(in_main) {
            Some(place) => networks::too_many(place, "no room for those of this server"),
            None => ConfigError::placeless("too many networks"),
        }
    }
}

fn place(span: Option<&Span>) -> Origin {
    span.map(Span::origin).unwrap_or_default()
}

/// The limits of one context with the positions of their zones.
fn limits(level: &Level, zones: &Zones) -> Result<Vec<LimitConn>, ConfigError> {
    let limits = level.limits.iter().map(|limit| {
        Ok(LimitConn {
            zone: zones.find(&limit.zone)?,
            number: limit.number,
            overrides: Vec::new(),
        })
    });
    limits.collect()
}

/// The position of the zone of an override.
fn overridden_zone(one: &NamedOverride, zones: &Zones) -> Result<usize, ConfigError> {
    let index = zones.find(&one.zone)?;
    let definition = &zones.all()[index];
    if definition.zone.key.has_client() {
        return Ok(index);
    }
    let message = "\"limit_conn_override\" needs a zone that counts by client address";
    Err(ConfigError::at(&one.zone.span, message)
        .expected(zone::has_no_client(&definition.zone.key))
        .related(&definition.word.span, "defined here"))
}

/// Refuses overrides of the main context that are in force nowhere, although servers inherit them.
fn refuse_idle_overrides(
    drafts: &[Draft],
    servers: &[(Server, ServerOrigins)],
    main: &Level,
    zones: &Zones,
) -> Result<(), ConfigError> {
    let heirs = || {
        let all = drafts.iter().zip(servers);
        all.filter(|(draft, _)| !draft.level.overrides.is_written())
    };
    if heirs().next().is_none() {
        return Ok(());
    }
    for one in main.overrides.all() {
        let zone = overridden_zone(one, zones)?;
        let mut limits = heirs().flat_map(|(_, (server, _))| &server.limits);
        if !limits.any(|limit| limit.zone == zone) {
            let nothing = "no server that inherits it has a limit of this zone";
            return Err(idle_override(one, nothing));
        }
    }
    Ok(())
}

/// An override of a limit that is not there.
fn idle_override(one: &NamedOverride, nothing: impl Into<String>) -> ConfigError {
    let zone = shown(&one.zone.value);
    let message = format!("\"limit_conn_override\" of zone \"{zone}\" without \"limit_conn\"");
    ConfigError::at(&one.zone.span, message)
        .expected(nothing)
        .help(format!("limit_conn {zone} NUMBER;"))
}
