//! What is done with the key of a connection in the zone that it is of.

use limiter_common::{
    admission::{self, Mode, Slot},
    key::{Connection, ZoneKey},
    token::{Charge, KeyRef},
};

use super::{Zone, zone_at};

/// All zones.
///
/// Taking and releasing are functions of the BPF machine with a linkage of their own: the verifier
/// checks each once, not once a limit and caller (Documentation/bpf/verifier.rst, global functions).
/// Each makes the key itself: Linux 6.1 wants it on the stack of the function that looks it up
/// (kernel/bpf/verifier.c, map_key_value_types).
pub struct Zones;

impl admission::Zones for Zones {
    #[inline(always)]
    fn take(&self, connection: &Connection, key: KeyRef, number: u32, mode: Mode) -> Slot {
        Slot::from_word(limiter_take(connection, key.to_word(), number, mode as u32))
    }

    #[inline(always)]
    fn release(&self, connection: &Connection, key: KeyRef, generation: u32) -> bool {
        limiter_release(connection, key.to_word(), generation) != 0
    }

    #[inline(always)]
    fn count_again(&self, connection: &Connection, charge: Charge, pass: u32) -> bool {
        let Charge { generation, key } = charge;
        limiter_count_again(connection, key.to_word(), generation, pass) != 0
    }

    #[inline(always)]
    fn leave_count(&self, connection: &Connection, charge: Charge, pass: u32) {
        let Charge { generation, key } = charge;
        limiter_leave_count(connection, key.to_word(), generation, pass);
    }

    #[inline(always)]
    fn is_held(&self, connection: &Connection, charge: Charge) -> bool {
        let Charge { generation, key } = charge;
        limiter_is_held(connection, key.to_word(), generation) != 0
    }
}

/// [`admission::take`]; `key` is the word of a [`KeyRef`], `mode` the number of a [`Mode`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_take(connection: *const Connection, key: u32, number: u32, mode: u32) -> u64 {
    // SAFETY: the verifier has checked that the pointer is to a connection or null.
    let Some((zone, key)) = place(key, unsafe { connection.as_ref() }) else {
        return Slot::Contended.to_word();
    };
    admission::take(zone, &key, number, Mode::from_number(mode)).to_word()
}

/// [`admission::release`]; `key` is the word of a [`KeyRef`]; 0 is `false`.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_release(connection: *const Connection, key: u32, generation: u32) -> u32 {
    // SAFETY: as above.
    let Some((zone, key)) = place(key, unsafe { connection.as_ref() }) else {
        return 0;
    };
    admission::release(zone, &key, generation).into()
}

/// [`admission::count_again`]; `key` is a [`KeyRef`], 0 is `false`.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_count_again(
    connection: *const Connection,
    key: u32,
    generation: u32,
    pass: u32,
) -> u32 {
    // SAFETY: as above.
    let Some((zone, key)) = place(key, unsafe { connection.as_ref() }) else {
        return 0;
    };
    admission::count_again(zone, &key, generation, pass).into()
}

/// [`admission::leave_count`]; likewise.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_leave_count(
    connection: *const Connection,
    key: u32,
    generation: u32,
    pass: u32,
) -> u32 {
    // SAFETY: as above.
    if let Some((zone, key)) = place(key, unsafe { connection.as_ref() }) {
        admission::leave_count(zone, &key, generation, pass);
    }
    0
}

/// [`admission::is_held`]; likewise.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn limiter_is_held(connection: *const Connection, key: u32, generation: u32) -> u32 {
    // SAFETY: as above.
    let Some((zone, key)) = place(key, unsafe { connection.as_ref() }) else {
        return 0;
    };
    admission::is_held(zone, &key, generation).into()
}

/// The zone and the key that a word of [`KeyRef`] means for a connection.
#[inline(always)]
fn place(key: u32, connection: Option<&Connection>) -> Option<(Zone, ZoneKey)> {
    let key = KeyRef::from_word(key);
    Some((zone_at(key.zone().into())?, key.key(connection?)))
}
