//! What nginx's variables are to the kernel.

use super::scene::Kind;
use crate::config::grammar::shown;

/// Something that the kernel cannot count by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// Completes `its key …`.
    pub(super) reason: String,
    /// What comes nearest, in place of the key.
    pub(super) nearest: Option<Nearest>,
}

/// What comes nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nearest {
    /// Another key, and what it does.
    Key(&'static str, &'static str),
    /// Something else to do.
    Advice(&'static str),
}

impl Lost {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            nearest: None,
        }
    }

    pub(super) fn nearest(mut self, nearest: Nearest) -> Self {
        self.nearest = Some(nearest);
        self
    }
}

pub(super) const CLIENT: Nearest = Nearest::Key(
    "$binary_remote_addr",
    "it counts by the address that connects, and a proxy as one client",
);

const SERVER: Nearest = Nearest::Key(
    "$server_name",
    "it counts all connections of the server together",
);

/// The variable of limiter that means the same.
pub(super) fn native(kind: Kind, name: &str) -> Option<&'static str> {
    Some(match name {
        // The address that connects, whatever the real_ip module makes of it.
        "binary_remote_addr" | "realip_remote_addr" => "binary_remote_addr",
        "remote_addr" => "remote_addr",
        "server_addr" => "server_addr",
        "server_port" => "server_port",
        "server_name" => "server_name",
        "protocol" if kind == Kind::Stream => "protocol",
        _ => return None,
    })
}

/// Whether the real_ip module changes the variable.
pub(super) fn follows_real_ip(name: &str) -> bool {
    matches!(name, "remote_addr" | "binary_remote_addr")
}

/// Why limiter has no such variable.
pub(super) fn lost(name: &str) -> Lost {
    let (why, nearest) = match name {
        "http_x_forwarded_for"
        | "http_x_real_ip"
        | "http_forwarded"
        | "http_cf_connecting_ip"
        | "http_true_client_ip"
        | "proxy_add_x_forwarded_for" => (IN_REQUEST, Some(CLIENT)),
        "host" | "http_host" => (IN_REQUEST, Some(SERVER)),
        "ssl_server_name" | "ssl_preread_server_name" => (IN_TLS, Some(SERVER)),
        "remote_port" | "realip_remote_port" | "connection" | "request_id" | "msec" => {
            ("is another one for each connection", None)
        }
        _ if name.starts_with("proxy_protocol_") => (
            "stands in what a proxy sends before the data, which the kernel does not read",
            Some(CLIENT),
        ),
        _ if name.starts_with("ssl_") => (IN_TLS, Some(CLIENT)),
        _ if name.starts_with("geoip") => (
            "comes from a database",
            Some(Nearest::Advice(
                "limit_conn_override gives a network another number, limit_conn_exempt none",
            )),
        ),
        _ if is_of_request(name) => (IN_REQUEST, Some(CLIENT)),
        _ => ("is not known to the kernel", Some(CLIENT)),
    };
    Lost {
        reason: format!("has \"${}\", which {why}", shown(name)),
        nearest,
    }
}

const IN_REQUEST: &str = "stands in a request, and the kernel sees connections";
const IN_TLS: &str = "is known after the TLS handshake, and the kernel decides before it";

fn is_of_request(name: &str) -> bool {
    const PREFIXES: [&str; 8] = [
        "http_",
        "arg_",
        "cookie_",
        "request",
        "document_",
        "content_",
        "jwt_",
        "sent_http_",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || matches!(
            name,
            "uri"
                | "args"
                | "is_args"
                | "query_string"
                | "scheme"
                | "remote_user"
                | "http2"
                | "http3"
                | "server_protocol"
        )
}
