//! The switch that has the same tests run over XDP: every limiter is attached to the interfaces of
//! its namespace as well.
//!
//! What is asserted stays the same, because XDP is an accelerator: which packet is refused where
//! makes no difference to what is counted.

use crate::netns::NetNs;

/// Set to anything but nothing, it turns the switch on. `cargo xtask test` runs the tests of
/// traffic once without it and once with it.
pub const VARIABLE: &str = "LIMITER_TEST_INTERFACE";

/// Whether limiters are to be attached to interfaces.
pub fn is_wanted() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty())
}

/// Names of the interfaces that a limiter in `netns` is to be attached to; none if the switch is
/// off.
///
/// # Panics
/// If the kernel does not list them.
pub fn wanted(netns: &NetNs) -> Vec<String> {
    if !is_wanted() {
        return Vec::new();
    }
    netns.run(|| {
        nix::net::if_::if_nameindex()
            .expect("list the interfaces of the namespace")
            .iter()
            .map(|interface| interface.name().to_string_lossy().into_owned())
            .collect()
    })
}
