//! What words mean in `upstream { … }`, if not what they mean elsewhere.

use super::{Context, Directive, Kind, Known, Shape};

pub(super) fn find(name: &str) -> Option<Known> {
    if name == "server" {
        return Some(Known::Ready(&UPSTREAM_SERVER));
    }
    if name == "queue" {
        return Some(Known::Ready(&QUEUE));
    }
    let instead = "limiter counts connections and balances no load, leave it in the \
                   configuration of the proxy";
    BALANCING
        .contains(&name)
        .then_some(Known::Foreign { instead })
}

/// `server` is another directive in an `upstream`.
static UPSTREAM_SERVER: Directive = Directive {
    kind: Kind::UpstreamServer,
    shape: Shape::Simple {
        least: 1,
        most: usize::MAX,
    },
    contexts: &[Context::Upstream],
    usage: "server ADDRESS:PORT [max_conns=N];",
};

static QUEUE: Directive = Directive {
    kind: Kind::Queue,
    shape: Shape::Simple { least: 1, most: 2 },
    contexts: &[Context::Upstream],
    usage: "queue NUMBER [timeout=TIME];",
};

/// What else nginx has in an `upstream`.
static BALANCING: [&str; 16] = [
    "hash",
    "ip_hash",
    "keepalive",
    "keepalive_requests",
    "keepalive_time",
    "keepalive_timeout",
    "least_conn",
    "least_time",
    "ntlm",
    "random",
    "resolver",
    "resolver_timeout",
    "state",
    "sticky",
    "sticky_cookie_insert",
    "zone",
];
