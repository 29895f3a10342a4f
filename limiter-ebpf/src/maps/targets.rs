//! Where refused attempts are brought to: a socket of the daemon in each network namespace.
//!
//! `limiter_divert` is loaded anew for each namespace, with maps of its own, because nothing in the
//! context of `sk_lookup` tells the namespace.

use aya_ebpf::{
    btf_maps::{ProgramArray, SockMap},
    macros::btf_map,
    programs::SkLookupContext,
};

#[btf_map]
static TARGET: SockMap<1> = SockMap::new();

#[btf_map]
static NEXT: ProgramArray<1> = ProgramArray::new();

/// Chooses the namespace's socket for this packet. `false` if there is none.
#[inline(always)]
pub fn choose(ctx: &SkLookupContext) -> bool {
    TARGET.redirect_sk_lookup(ctx, 0, 0).is_ok()
}

/// Goes on with `limiter_lookup`; comes back only if there is none.
#[inline(always)]
pub fn go_on(ctx: &SkLookupContext) {
    // SAFETY: no destructor is left out.
    unsafe { NEXT.tail_call(ctx, 0) };
}
