//! Client networks that are treated otherwise than the rest: a trie of prefixes.
//!
//! A look-up walks the trie, so it is made only where the policy names networks.

use aya_ebpf::{
    btf_maps::lpm_trie::{Key, LpmTrie},
    macros::btf_map,
};
use limiter_common::{
    addr::Addr,
    admission::Numbers,
    key::Connection,
    policy::{EXEMPT, MAX_LIMITS, MAX_NETWORKS, Network, ORDINARY, ServerPolicy},
};

use super::policy::Policy;

#[btf_map]
static NETWORKS: LpmTrie<Network, u32, { 2 * MAX_NETWORKS }> = LpmTrie::new();

/// Whether clients with this address are not accounted by the server.
#[inline(always)]
pub fn is_exempt(server: &ServerPolicy, client: &Addr) -> bool {
    server.has_exemptions != 0 && find(server, EXEMPT, client).is_some()
}

/// The server that counts this connection: it limits connections to that address and port, and the
/// client is not exempt.
#[inline(always)]
pub fn counts_at(policy: Policy, connection: &Connection) -> Option<&'static ServerPolicy> {
    let server = policy.limits_at(&connection.local, connection.local_port)?;
    (!is_exempt(server, &connection.remote)).then_some(server)
}

/// Connections that the limit at `position` of the server allows this client: the number of the
/// most specific network that it belongs to, else that of the limit.
#[inline(always)]
pub fn number(server: &ServerPolicy, position: usize, client: &Addr) -> u16 {
    let limit = &server.limits[position & (MAX_LIMITS - 1)];
    if limit.has_overrides == 0 {
        return limit.number;
    }
    find(server, position as u8, client).map_or(limit.number, |number| number as u16)
}

/// [`number`]
pub struct Networks;

impl Numbers for Networks {
    #[inline(always)]
    fn number(&self, server: &ServerPolicy, position: usize, client: &Addr) -> u16 {
        number(server, position, client)
    }
}

#[inline(always)]
fn find(server: &ServerPolicy, limit: u8, client: &Addr) -> Option<u32> {
    let value = limiter_network(server, limit.into(), client);
    (value != ORDINARY).then_some(value)
}

/// What stands in the trie for this client, [`ORDINARY`] if nothing does. A global function, see
/// [`crate::charge`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_network(server: *const ServerPolicy, limit: u32, client: *const Addr) -> u32 {
    // SAFETY: the verifier has checked that each pointer is to a value of its type or null.
    let (Some(server), Some(client)) = (unsafe { (server.as_ref(), client.as_ref()) }) else {
        return ORDINARY;
    };
    let network = Network::new(server, limit as u8, client);
    NETWORKS
        .get(&Key::new(Network::bits(128), network))
        .copied()
        .unwrap_or(ORDINARY)
}
