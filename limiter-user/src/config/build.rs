//! From directives to the policy. Zones may be named before they are defined.

use std::path::{Path, PathBuf};

use limiter_common::policy::MAX_SERVERS;

use super::{
    Loaded,
    attach::Attachments,
    claims,
    control::Control,
    directives::Kind,
    error::{ConfigError, shown},
    error_log::error_log,
    expand::Item,
    inherit,
    level::Level,
    metrics::MetricsDraft,
    once::Once,
    server::Draft,
    syntax::Word,
    upstream::Upstreams,
    warnings,
    word::WordError,
    zones::Zones,
};
use crate::policy::{ErrorLog, Policy, origin::Origins};

/// Gives the directives of the main context their meaning.
pub(super) fn build(items: &[Item]) -> Result<Loaded, ConfigError> {
    let mut main = Main::default();
    for item in items {
        main.take(item)?;
    }
    main.finish()
}

/// The main context while it is being read.
#[derive(Default)]
struct Main {
    zones: Zones,
    level: Level,
    servers: Vec<Draft>,
    upstreams: Upstreams,
    attach: Attachments,
    error_log: Once<ErrorLog>,
    control: Once<Control>,
    metrics: MetricsDraft,
}

impl Main {
    fn take(&mut self, item: &Item) -> Result<(), ConfigError> {
        match item.kind {
            Kind::LimitConnZone => self.zones.define(item),
            Kind::LimitConn
            | Kind::LimitConnDryRun
            | Kind::LimitConnExempt
            | Kind::LimitConnLogLevel
            | Kind::LimitConnOverride
            | Kind::LimitConnAction => self.level.take(item),
            Kind::Server => self.server(item),
            Kind::Upstream => self.upstreams.read(item),
            Kind::Attach => self.attach.take(item),
            Kind::ErrorLog => self.error_log.set(item, error_log(item)?),
            Kind::Control => self.control.set(item, Control::read(item)?),
            Kind::Metrics => self.metrics.listen(item),
            Kind::MetricsTop => self.metrics.top(item),
            Kind::MetricsRunTime => self.metrics.run_time(item),
            // `expand` resolves the first two and keeps the others out of the main context.
            Kind::Include
            | Kind::Stream
            | Kind::Listen
            | Kind::ServerName
            | Kind::UpstreamServer
            | Kind::Queue => Ok(()),
        }
    }

    fn server(&mut self, item: &Item) -> Result<(), ConfigError> {
        if self.servers.len() == MAX_SERVERS as usize {
            let message = format!("too many servers, {MAX_SERVERS} at the most");
            return Err(ConfigError::at(&item.word.span, message));
        }
        self.servers.push(Draft::read(item)?);
        Ok(())
    }

    fn finish(mut self) -> Result<Loaded, ConfigError> {
        if self.servers.is_empty() {
            self.servers.push(Draft::default());
        }
        claims::check(&self.servers)?;
        let servers = inherit::resolve(&self.servers, &self.level, &self.zones)?;
        let (servers, server_origins) = servers.into_iter().unzip();
        let (cgroups, interfaces) = self.attach.origins();
        let (upstreams, upstream_origins) = self.upstreams.resolve(&self.level);
        let control = self.control.value();
        let policy = Policy {
            zones: self.zones.all().iter().map(|it| it.zone.clone()).collect(),
            servers,
            upstreams,
            attach: self.attach.into_attach(),
            error_log: self.error_log.value().cloned().unwrap_or_default(),
            control: control.map(|it| it.path.clone()),
            grant: control.map(|it| it.grant.clone()).unwrap_or_default(),
            metrics: self.metrics.metrics(),
        };
        let file = warnings::File {
            main: &self.level,
            drafts: &self.servers,
            zones: &self.zones,
            policy: &policy,
        };
        let warnings = file.warnings();
        let grant = control.map(Control::grant_origins);
        let (control_group, control_others) = grant.unwrap_or_default();
        let origins = Origins {
            zones: self
                .zones
                .all()
                .iter()
                .map(|it| it.origins.clone())
                .collect(),
            servers: server_origins,
            upstreams: upstream_origins,
            cgroups,
            interfaces,
            error_log: self.error_log.origin(),
            error_log_level: self.error_log.option_origin(),
            control: self.control.origin(),
            control_group,
            control_others,
            metrics: self.metrics.listen_origins(),
            metrics_top: self.metrics.top_origin(),
            metrics_run_time: self.metrics.run_time_origin(),
        };
        Ok(Loaded {
            policy,
            origins,
            warnings,
        })
    }
}

/// A path that means the same wherever the daemon was started.
pub(super) fn absolute_path(item: &Item, word: &Word) -> Result<PathBuf, ConfigError> {
    let path = Path::new(&word.value);
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let message = format!(
        "\"{}\" is not an absolute path in \"{}\" directive",
        shown(&word.value),
        item.word.value
    );
    Err(ConfigError::at(&word.span, message).expected("expected a path that begins with \"/\""))
}

/// A word that means nothing.
pub(super) fn misread(word: &Word, error: WordError) -> ConfigError {
    let place = match error.part {
        Some(part) => word.part(part),
        None => word.span.clone(),
    };
    ConfigError::at(&place, error.message).expected(error.expected)
}

/// nginx's sentence about a word that is none of a few.
pub(super) fn invalid_value(item: &Item, word: &Word, expected: &str) -> ConfigError {
    let message = format!(
        "invalid value \"{}\" in \"{}\" directive, {expected}",
        shown(&word.value),
        item.word.value
    );
    ConfigError::at(&word.span, message).expected(expected)
}

/// Refuses arguments from this position on.
pub(super) fn refuse_parameters(item: &Item, from: usize) -> Result<(), ConfigError> {
    match item.arguments.get(from) {
        None => Ok(()),
        Some(word) => Err(invalid_parameter(word)),
    }
}

/// A word that no parameter begins with.
pub(super) fn invalid_parameter(word: &Word) -> ConfigError {
    let message = format!("invalid parameter \"{}\"", shown(&word.value));
    ConfigError::at(&word.span, message).expected("not expected here")
}
