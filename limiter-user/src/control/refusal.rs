//! Answers that are not a success: a status, a sentence, and a name for programs.

use hyper::StatusCode;
use ipnet::IpNet;

use crate::api::{ErrorBody, ErrorDetail};

/// Why a request is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// A name for programs.
    pub code: &'static str,
    /// A sentence.
    pub text: String,
    /// The method that the path is for, with status 405 (RFC 9110 §15.5.6).
    pub allow: Option<&'static str>,
}

impl Refusal {
    /// The request cannot be understood, or asks for something that is not allowed.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", text)
    }

    /// The peer may not do this.
    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", text)
    }

    /// No such path.
    pub fn unknown_path(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "PathNotFound",
            format!("unknown path {path:?}"),
        )
    }

    /// No such zone; the code is nginx's.
    pub fn unknown_zone(name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "LimitConnNotFound",
            format!("unknown zone {name:?}"),
        )
    }

    /// No such server.
    pub fn unknown_server(name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "ServerNotFound",
            format!("unknown server {name:?}"),
        )
    }

    /// The server, or every server, has no limit on this zone.
    pub fn unused_zone(zone: &str, server: Option<&str>) -> Self {
        let text = match server {
            Some(server) => format!("server {server:?} has no limit_conn of zone {zone:?}"),
            None => format!("no server has a limit_conn of zone {zone:?}"),
        };
        Self::new(StatusCode::NOT_FOUND, "LimitNotFound", text)
    }

    /// The server, or every server, does not have this network among the exempt ones.
    pub fn unknown_network(network: IpNet, server: Option<&str>) -> Self {
        let text = match server {
            Some(server) => format!("server {server:?} does not exempt \"{network}\""),
            None => format!("no server exempts \"{network}\""),
        };
        Self::new(StatusCode::NOT_FOUND, "NetworkNotFound", text)
    }

    /// The configuration that was read again is wrong. `text` says where, in several lines.
    pub fn bad_configuration(text: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            Self::BAD_CONFIGURATION,
            text,
        )
    }

    /// Code of [`Self::bad_configuration`].
    pub const BAD_CONFIGURATION: &str = "BadConfiguration";

    /// The path exists, but not for this method.
    pub fn method_not_allowed(method: &str, path: &str, allowed: &'static str) -> Self {
        let text = format!("{method} is not allowed on {path}, use {allowed}");
        Self {
            allow: Some(allowed),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", text)
        }
    }

    /// nginx's answer to whoever asks for a change where only reading is allowed.
    pub fn method_disabled(method: &str) -> Self {
        let text = format!(
            "{method} is disabled here, where one may only read: ask on the control socket"
        );
        Self {
            allow: Some("GET, HEAD"),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodDisabled", text)
        }
    }

    /// nginx's API in a version that is not this one.
    pub fn unknown_version(version: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "UnknownVersion",
            format!("unknown version {version:?} of the API, use 9"),
        )
    }

    /// A port of `metrics` cannot be had.
    pub fn no_port(text: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "PortUnavailable", text)
    }

    /// The body is larger than [`super::MAX_BODY_BYTES`].
    pub fn too_large() -> Self {
        let text = format!("the body is larger than {} bytes", super::MAX_BODY_BYTES);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "BodyTooLarge", text)
    }

    /// The peer did not send the body in time.
    pub fn too_slow() -> Self {
        let text = format!(
            "the body did not arrive within {} s",
            super::IO_TIMEOUT.as_secs()
        );
        Self::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", text)
    }

    /// The daemon cannot answer now.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", text)
    }

    /// The kernel did not do what it was asked to.
    pub fn internal(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "KernelError", text)
    }

    /// nginx's error object.
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                status: self.status.as_u16(),
                text: self.text.clone(),
                code: self.code.to_owned(),
            },
        }
    }

    fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Self {
        Self {
            status,
            code,
            text: text.into(),
            allow: None,
        }
    }
}
