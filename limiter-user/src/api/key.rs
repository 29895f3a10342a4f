//! What one key of a zone consists of.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The parts of a key, each if the zone counts by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyParts {
    /// Client address; of a network, the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_addr: Option<IpAddr>,
    /// Leading bits of the address that count, unless all do: the key is this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_prefix: Option<u8>,
    /// Local address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_addr: Option<IpAddr>,
    /// Local port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_port: Option<u16>,
    /// Server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

impl KeyParts {
    /// The client as text, an address or a network.
    pub fn client(&self) -> Option<String> {
        let addr = self.remote_addr?;
        Some(match self.remote_prefix {
            Some(bits) => format!("{addr}/{bits}"),
            None => addr.to_string(),
        })
    }
}
