//! Bytes that another version may have left in the kernel, read without a kernel: what the fuzz targets
//! call.

use limiter_common::event::Event;

use super::{left::makes_sense, pins::Record, raw::read_record};

/// Reads one record of the ring of events. None: it is too short to be one.
pub fn event(record: &[u8]) -> Option<Event> {
    read_record(record)
}

/// Reads the value of the map in which a daemon leaves what its maps are about. Returns the daemon's
/// books. None: it is nobody's record, or names what cannot be.
pub fn books(value: &[u8]) -> Option<serde_json::Value> {
    let record = Record::from_value(value).filter(makes_sense)?;
    for zone in &record.zones {
        zone.zone();
    }
    Some(record.books)
}
