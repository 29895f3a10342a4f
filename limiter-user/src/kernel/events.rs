//! The rings.

use std::os::fd::AsRawFd;

use aya::{
    Ebpf,
    maps::{Array, MapData, PerCpuArray, PerCpuValues, RingBuf},
};
use aya_log::EbpfLogger;
use limiter_common::{
    counters::{EventCounters, PacketCounters},
    event::{EVENT_NUMBER, EVENT_STREAM, Event, Excess},
    names::{
        MAP_EVENT_COUNTERS, MAP_EVENT_NUMBERS, MAP_EVENTS, MAP_EXCESS, MAP_HELD_SYNS,
        MAP_NEW_LISTENERS, MAP_PACKET_COUNTERS,
    },
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    error::{Context, KernelError},
    held_syns::Sender,
    machine::seed as random,
    netns,
    policy::take,
    raw::{Raw, read_record},
    sock_diag,
};

/// Events taken from the ring at once, at the most.
const BATCH: usize = 4_096;

/// Events from the ring buffer.
pub struct EventStream {
    ring: AsyncFd<RingBuf<MapData>>,
    id: u64,
    newest: u64,
}

impl EventStream {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let mut numbers: Array<MapData, u64> = take(ebpf, MAP_EVENT_NUMBERS)?;
        let read = |numbers: &Array<MapData, u64>, place| {
            numbers
                .get(&place, 0)
                .context("read map", MAP_EVENT_NUMBERS)
        };
        let mut id = read(&numbers, EVENT_STREAM)?;
        if id == 0 {
            // A new map: nobody has numbers of it yet.
            id = random()?.max(1);
            numbers
                .set(EVENT_STREAM, id, 0)
                .context("write map", MAP_EVENT_NUMBERS)?;
        }
        Ok(Self {
            newest: read(&numbers, EVENT_NUMBER)?,
            ring: poll(take(ebpf, MAP_EVENTS)?, MAP_EVENTS)?,
            id,
        })
    }

    /// What the numbers of these events belong to. It stays the same as long as the programs' maps are
    /// taken over, and is another one when they are made anew.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The number of the newest event when this was taken. Those that were read before, and those
    /// that found the ring full, are included.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Appends all events that are there, without waiting: what another daemon has not read.
    pub fn read_pending(&mut self, events: &mut Vec<Event>) {
        let ring = self.ring.get_mut();
        while let Some(item) = ring.next() {
            events.extend(read_record::<Event>(&item));
        }
    }

    /// Waits until there are events and appends all that are there to `events`, up to a bounded
    /// number a call.
    ///
    /// # Errors
    ///
    /// If the ring cannot be polled.
    pub async fn read(&mut self, events: &mut Vec<Event>) -> Result<(), KernelError> {
        read(&mut self.ring, events)
            .await
            .context("read map", MAP_EVENTS)
    }
}

/// Sockets that begin to listen on ports of the policy.
pub struct NewListeners {
    ring: AsyncFd<RingBuf<MapData>>,
}

impl NewListeners {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            ring: poll(take(ebpf, MAP_NEW_LISTENERS)?, MAP_NEW_LISTENERS)?,
        })
    }

    /// Waits until there is one.
    ///
    /// # Errors
    ///
    /// If the ring cannot be polled.
    pub async fn wait(&mut self) -> Result<(), KernelError> {
        let mut ports: Vec<u32> = Vec::new();
        while ports.is_empty() {
            read(&mut self.ring, &mut ports)
                .await
                .context("read map", MAP_NEW_LISTENERS)?;
        }
        Ok(())
    }
}

/// Sums the counters of the event path over all CPUs.
pub(super) fn read_counters(ebpf: &Ebpf) -> Result<EventCounters, KernelError> {
    let per_cpu: PerCpuValues<Raw<EventCounters>> = read_per_cpu(ebpf, MAP_EVENT_COUNTERS)?;
    Ok(per_cpu
        .iter()
        .fold(EventCounters::default(), |sum, cpu| sum.plus(&cpu.0)))
}

/// Sums the counters of packets that were not understood over all CPUs.
pub(super) fn read_packet_counters(ebpf: &Ebpf) -> Result<PacketCounters, KernelError> {
    let per_cpu: PerCpuValues<Raw<PacketCounters>> = read_per_cpu(ebpf, MAP_PACKET_COUNTERS)?;
    Ok(per_cpu
        .iter()
        .fold(PacketCounters::default(), |sum, cpu| sum.plus(&cpu.0)))
}

/// The only value of a per-CPU array that stays in the object.
fn read_per_cpu<T: super::raw::Boundary>(
    ebpf: &Ebpf,
    name: &'static str,
) -> Result<PerCpuValues<Raw<T>>, KernelError> {
    let map = ebpf
        .map(name)
        .ok_or_else(|| KernelError::new("find map", name, "it is gone"))?;
    let map: PerCpuArray<&MapData, Raw<T>> = map.try_into().context("find map", name)?;
    map.get(&0, 0).context("read map", name)
}

/// Destroys excess connections, sends SYNs that were held back, and passes the programs' debug output on.
pub(super) fn housekeeping(
    ebpf: &mut Ebpf,
) -> Result<impl Future<Output = ()> + Send + 'static, KernelError> {
    let mut excess = poll(take::<RingBuf<MapData>>(ebpf, MAP_EXCESS)?, MAP_EXCESS)?;
    let mut held = poll(
        take::<RingBuf<MapData>>(ebpf, MAP_HELD_SYNS)?,
        MAP_HELD_SYNS,
    )?;
    let debug = EbpfLogger::init(ebpf).ok();
    Ok(async move {
        let debug_output = async move {
            let Some(logger) = debug else { return };
            let Ok(mut logger) = poll(logger, aya_log::LEVEL) else {
                return;
            };
            while let Ok(mut ready) = logger.readable_mut().await {
                ready.get_inner_mut().flush();
                ready.clear_ready();
            }
        };
        let destruction = async move {
            let mut connections = Vec::new();
            while read(&mut excess, &mut connections).await.is_ok() {
                let batch = std::mem::take(&mut connections);
                // Blocks on netlink, and must not in the runtime.
                let _ = tokio::task::spawn_blocking(move || destroy(&batch)).await;
            }
        };
        let sending = async move {
            let mut syns = Vec::new();
            let mut sender = Sender::default();
            while read(&mut held, &mut syns).await.is_ok() {
                let batch = std::mem::take(&mut syns);
                // Looks through all network namespaces now and then.
                let task = tokio::task::spawn_blocking(move || {
                    sender.send(&batch);
                    sender
                });
                sender = task.await.unwrap_or_default();
            }
        };
        tokio::join!(debug_output, destruction, sending);
    })
}

/// Looks for each connection in every network namespace: the cookie is unique over all of them.
fn destroy(connections: &[Excess]) {
    netns::in_each(|_| {
        for connection in connections {
            if let Err(error) = sock_diag::destroy(connection) {
                tracing::debug!("destroy an excess connection: {error}");
            }
        }
    });
}

fn poll<T: AsRawFd>(ring: T, name: &str) -> Result<AsyncFd<T>, KernelError> {
    // SAFETY: a ring owns its descriptor and keeps it while it lives.
    unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }
        .map_err(std::io::Error::from)
        .context("poll map", name)
}

async fn read<T: super::raw::Boundary>(
    ring: &mut AsyncFd<RingBuf<MapData>>,
    records: &mut Vec<T>,
) -> std::io::Result<()> {
    let mut ready = ring.readable_mut().await?;
    let ring = ready.get_inner_mut();
    for _ in 0..BATCH {
        let Some(item) = ring.next() else {
            ready.clear_ready();
            return Ok(());
        };
        records.extend(read_record::<T>(&item));
    }
    // There may be more: still ready.
    Ok(())
}
