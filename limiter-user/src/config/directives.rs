//! Every directive that limiter knows: where it may stand, and what it looks like.

use super::suggest;

mod upstream;

/// A directive with a meaning in this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Attach,
    Control,
    ErrorLog,
    Include,
    LimitConn,
    LimitConnAction,
    LimitConnDryRun,
    LimitConnExempt,
    LimitConnLogLevel,
    LimitConnOverride,
    LimitConnZone,
    Listen,
    Metrics,
    MetricsRunTime,
    MetricsTop,
    Server,
    Queue,
    ServerName,
    Stream,
    Upstream,
    UpstreamServer,
}

/// What follows the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `;` after so many arguments.
    Simple { least: usize, most: usize },
    /// `;` after so many arguments, or after `off` alone.
    CountOrOff { count: usize },
    /// `{ … }`, without arguments.
    Block,
    /// `NAME { … }`
    NamedBlock,
}

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// Outside of every block.
    Main,
    /// In `stream { … }`, which holds what the main context holds.
    Stream,
    /// In `server { … }`.
    Server,
    /// In `upstream NAME { … }`, where words have meanings of their own.
    Upstream,
}

/// One directive of this version.
#[derive(Debug)]
pub(super) struct Directive {
    pub(super) kind: Kind,
    pub(super) shape: Shape,
    contexts: &'static [Context],
    /// How it is written, for hints.
    pub(super) usage: &'static str,
}

impl Directive {
    pub(super) fn is_allowed_in(&self, context: Context) -> bool {
        self.contexts.contains(&context)
    }

    /// Where it belongs, for hints.
    pub(super) fn place(&self) -> &'static str {
        if self.is_allowed_in(Context::Upstream) && !self.is_allowed_in(Context::Main) {
            return "it belongs in an \"upstream\" block";
        }
        match (
            self.is_allowed_in(Context::Main),
            self.is_allowed_in(Context::Server),
        ) {
            (true, true) => "it belongs outside of every block or in a \"server\" block",
            (false, true) => "it belongs in a \"server\" block",
            _ => "it belongs outside of every block",
        }
    }
}

/// What a word means as the name of a directive.
#[derive(Debug)]
pub(super) enum Known {
    /// A directive of this version.
    Ready(&'static Directive),
    /// A directive of nginx for which limiter has something else, or nothing.
    Foreign {
        /// Completes `"…" directive is not supported: `.
        instead: &'static str,
    },
}

/// Looks a name up as it is meant in this place; names are case-sensitive, as in nginx.
pub(super) fn find(name: &str, context: Context) -> Option<Known> {
    if context == Context::Upstream
        && let Some(known) = upstream::find(name)
    {
        return Some(known);
    }
    if let Some((_, directive)) = READY.iter().find(|(text, _)| *text == name) {
        return Some(Known::Ready(directive));
    }
    FOREIGN
        .iter()
        .find(|(text, _)| *text == name)
        .map(|(_, instead)| Known::Foreign { instead })
}

/// Whether this is the name of a directive anywhere.
pub(super) fn is_known(name: &str) -> bool {
    [Context::Main, Context::Upstream]
        .iter()
        .any(|context| find(name, *context).is_some())
}

/// The known directive that somebody who wrote `name` probably meant.
pub(super) fn closest(name: &str) -> Option<&'static str> {
    suggest::closest(name, READY.iter().map(|(text, _)| *text))
}

const EVERYWHERE: &[Context] = &[Context::Main, Context::Stream, Context::Server];
const ANY_BLOCK: &[Context] = &[
    Context::Main,
    Context::Stream,
    Context::Server,
    Context::Upstream,
];
const MAIN: &[Context] = &[Context::Main, Context::Stream];
const SERVER: &[Context] = &[Context::Server];

const fn simple(
    kind: Kind,
    least: usize,
    most: usize,
    contexts: &'static [Context],
    usage: &'static str,
) -> Directive {
    Directive {
        kind,
        shape: Shape::Simple { least, most },
        contexts,
        usage,
    }
}

const fn count_or_off(
    kind: Kind,
    count: usize,
    contexts: &'static [Context],
    usage: &'static str,
) -> Directive {
    Directive {
        kind,
        shape: Shape::CountOrOff { count },
        contexts,
        usage,
    }
}

const fn block(kind: Kind, contexts: &'static [Context], usage: &'static str) -> Directive {
    Directive {
        kind,
        shape: Shape::Block,
        contexts,
        usage,
    }
}

#[rustfmt::skip]
static READY: [(&str, Directive); 19] = [
    ("attach", simple(Kind::Attach, 2, 3, MAIN, "attach cgroup PATH; attach interface NAME [mode=auto|native|generic];")),
    ("control", simple(Kind::Control, 1, 3, MAIN, "control PATH [group=NAME|GID] [others=read|nothing];")),
    ("error_log", simple(Kind::ErrorLog, 1, 3, MAIN, "error_log stderr|journal|PATH [debug|info|notice|warn|error] [format=text|json];")),
    ("include", simple(Kind::Include, 1, 1, ANY_BLOCK, "include FILES;")),
    ("limit_conn", simple(Kind::LimitConn, 2, 2, EVERYWHERE, "limit_conn ZONE NUMBER;")),
    ("limit_conn_action", simple(Kind::LimitConnAction, 1, 2, EVERYWHERE, "limit_conn_action drop|reset|close [delay=TIME];")),
    ("limit_conn_dry_run", simple(Kind::LimitConnDryRun, 1, 1, EVERYWHERE, "limit_conn_dry_run on|off;")),
    ("limit_conn_exempt", simple(Kind::LimitConnExempt, 1, usize::MAX, EVERYWHERE, "limit_conn_exempt CIDR …; limit_conn_exempt off;")),
    ("limit_conn_log_level", simple(Kind::LimitConnLogLevel, 1, 1, EVERYWHERE, "limit_conn_log_level info|notice|warn|error;")),
    ("limit_conn_override", count_or_off(Kind::LimitConnOverride, 3, EVERYWHERE, "limit_conn_override ZONE CIDR NUMBER; limit_conn_override off;")),
    ("limit_conn_zone", simple(Kind::LimitConnZone, 2, 5, MAIN, "limit_conn_zone KEY zone=NAME:SIZE [v4_prefix=N] [v6_prefix=N] [on_full=reject|evict];")),
    ("listen", simple(Kind::Listen, 1, 1, SERVER, "listen [ADDRESS:]PORT[-PORT];")),
    ("metrics", simple(Kind::Metrics, 1, 1, MAIN, "metrics [ADDRESS:]PORT;")),
    ("metrics_run_time", simple(Kind::MetricsRunTime, 1, 1, MAIN, "metrics_run_time on|off;")),
    ("metrics_top", simple(Kind::MetricsTop, 1, 1, MAIN, "metrics_top NUMBER;")),
    ("server", block(Kind::Server, MAIN, "server { … }")),
    ("server_name", simple(Kind::ServerName, 1, 1, SERVER, "server_name NAME;")),
    ("stream", block(Kind::Stream, &[Context::Main], "stream { … }")),
    ("upstream", Directive { kind: Kind::Upstream, shape: Shape::NamedBlock, contexts: MAIN, usage: "upstream NAME { server ADDRESS:PORT [max_conns=N]; [queue NUMBER [timeout=TIME];] }" }),
];

const REQUESTS: &str =
    "limiter counts connections, not requests, use \"limit_conn\" or leave it to the web server";

const REAL_IP: &str = "a connection has the address that the kernel sees, behind a proxy the \
     proxy's; count by \"$server_name\" here, and by client at the proxy";

static FOREIGN: [(&str, &str); 19] = [
    (
        "http",
        "write its \"server\" blocks without it, with \"listen\" and \"limit_conn\", or let \
         \"limiter import\" do it",
    ),
    (
        "location",
        "a connection has no location yet, use \"limit_conn\" in the \"server\" block",
    ),
    (
        "limit_conn_status",
        "a refused connection gets no HTTP status, use \"limit_conn_action\"",
    ),
    (
        "limit_zone",
        "use \"limit_conn_zone KEY zone=NAME:SIZE\" instead",
    ),
    ("limit_req", REQUESTS),
    ("limit_req_dry_run", REQUESTS),
    ("limit_req_log_level", REQUESTS),
    ("limit_req_status", REQUESTS),
    ("limit_req_zone", REQUESTS),
    ("limit_rate", REQUESTS),
    ("set_real_ip_from", REAL_IP),
    ("real_ip_header", REAL_IP),
    ("real_ip_recursive", REAL_IP),
    (
        "events",
        "the kernel handles the connections, remove the block",
    ),
    (
        "worker_processes",
        "there are no worker processes, remove it",
    ),
    (
        "worker_connections",
        "use \"limit_conn\" with a key such as \"$server_port\" to cap all connections",
    ),
    ("user", "limiter needs its privileges, remove it"),
    ("pid", "\"limiter status\" shows the process, remove it"),
    (
        "proxy_pass",
        "limiter forwards nothing, leave it in the configuration of the proxy",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_of_a_directive_begins_with_its_name() {
        for (name, directive) in &READY {
            assert!(directive.usage.starts_with(&format!("{name} ")), "{name}");
        }
    }

    #[test]
    fn no_name_is_in_two_tables() {
        let ready = READY.iter().map(|(name, _)| *name);
        let foreign = FOREIGN.iter().map(|(name, _)| *name);
        let mut names: Vec<_> = ready.chain(foreign).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
