//! Reading a program's context.

/// Loads one 32-bit word of a context of type `$ty`. The verifier wants a constant offset from the
/// context itself, but LLVM merges loads of two branches into one from a computed address; it
/// cannot merge these.
macro_rules! load {
    ($ty:ty, $ctx:expr, $field:ident) => {
        load!($ty, $ctx, $field, 0)
    };
    ($ty:ty, $ctx:expr, $field:ident, $word:literal) => {{
        let ctx: *mut $ty = $ctx;
        let value: u64;
        // SAFETY: the kernel gives a valid context, and the field is within it.
        unsafe {
            core::arch::asm!(
                "{value} = *(u32 *)({ctx} + {offset})",
                value = out(reg) value,
                ctx = in(reg) ctx,
                offset = const core::mem::offset_of!($ty, $field) + 4 * $word,
                options(readonly, nostack, preserves_flags),
            );
        }
        value as u32
    }};
}

/// The two ends of a connection, from a context with the fields that `bpf_sock_ops` and
/// `bpf_sk_lookup` have in common.
macro_rules! load_addresses {
    ($ty:ty, $ctx:expr) => {{
        use limiter_common::addr::Addr;
        const AF_INET: u32 = 2;
        let ctx = $ctx;
        if load!($ty, ctx, family) == AF_INET {
            (
                Addr::from_v4_word(load!($ty, ctx, remote_ip4)),
                Addr::from_v4_word(load!($ty, ctx, local_ip4)),
            )
        } else {
            (
                Addr::from_v6_words([
                    load!($ty, ctx, remote_ip6, 0),
                    load!($ty, ctx, remote_ip6, 1),
                    load!($ty, ctx, remote_ip6, 2),
                    load!($ty, ctx, remote_ip6, 3),
                ]),
                Addr::from_v6_words([
                    load!($ty, ctx, local_ip6, 0),
                    load!($ty, ctx, local_ip6, 1),
                    load!($ty, ctx, local_ip6, 2),
                    load!($ty, ctx, local_ip6, 3),
                ]),
            )
        }
    }};
}

pub(crate) use {load, load_addresses};
