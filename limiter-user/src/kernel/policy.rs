//! The policy maps: two halves, one switch.
//!
//! Only this process writes them. Programs read [`Control::halves`] once and then go by that half;
//! the other one is written in peace and put in force by one write. Before a half is written again,
//! every program that may still read it has ended: [`super::zones::ZoneMaps::wait_for_programs`].

use std::{collections::HashSet, io, os::fd::AsFd as _};

use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData, MapError},
};
use limiter_common::{
    addr::Addr,
    audit::LAST_PASS,
    names::{MAP_CONTROL, MAP_LISTENERS, MAP_NETWORKS, MAP_PORTS, MAP_SERVERS, MAP_UPSTREAMS},
    policy::{Control, Halves, ListenerKey, MAX_SERVER_INDICES, PORTS, PortEntry, ServerPolicy},
    upstream::{UpstreamKey, UpstreamServer},
};

use super::{
    compile::Compiled,
    error::{Context, KernelError},
    machine::{max_waiting, seed, ticks_per_second},
    networks::NetworkMap,
    raw::Raw,
    syscall::read_words,
};

/// The maps, and what stands in them.
pub(super) struct PolicyMaps {
    control: Array<MapData, Raw<Control>>,
    ports: Array<MapData, Raw<PortEntry>>,
    listeners: HashMap<MapData, Raw<ListenerKey>, u32>,
    upstreams: HashMap<MapData, Raw<UpstreamKey>, Raw<UpstreamServer>>,
    servers: Array<MapData, Raw<ServerPolicy>>,
    networks: NetworkMap,
    /// What is in force in `control`.
    switches: Control,
    /// What stands in each half.
    halves: [Half; 2],
}

#[derive(Clone)]
struct Half {
    ports: Vec<PortEntry>,
    listeners: std::collections::HashMap<(u16, Addr), u32>,
    /// Addresses and ports.
    upstreams: HashSet<(Addr, u16)>,
}

impl Half {
    fn empty() -> Self {
        Self {
            ports: vec![PortEntry::default(); PORTS as usize],
            listeners: std::collections::HashMap::new(),
            upstreams: HashSet::new(),
        }
    }
}

impl PolicyMaps {
    /// Takes the maps and writes the first policy.
    pub(super) fn write(ebpf: &mut Ebpf, compiled: &Compiled) -> Result<Self, KernelError> {
        let mut maps = Self {
            control: take(ebpf, MAP_CONTROL)?,
            ports: take(ebpf, MAP_PORTS)?,
            listeners: take(ebpf, MAP_LISTENERS)?,
            upstreams: take(ebpf, MAP_UPSTREAMS)?,
            servers: take(ebpf, MAP_SERVERS)?,
            networks: NetworkMap::new(take(ebpf, MAP_NETWORKS)?),
            switches: Control {
                halves: Halves::only(0),
                report_passed: 0,
                seed: seed()?,
                ticks_per_second: ticks_per_second()?,
                max_waiting: max_waiting()?,
                pass: 0,
                last_pass: 0,
            },
            halves: [Half::empty(), Half::empty()],
        };
        maps.prepare(compiled)?;
        maps.switch()?;
        Ok(maps)
    }

    /// Takes the maps that another daemon has written. What it had in force stays; what it was about
    /// to put in force is withdrawn.
    pub(super) fn take_over(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let words = match ebpf.map(MAP_PORTS) {
            Some(Map::Array(ports)) => read_words(ports.fd().as_fd(), 2 * PORTS),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let words = words.context("read map", MAP_PORTS)?;
        let control: Array<MapData, Raw<Control>> = take(ebpf, MAP_CONTROL)?;
        let ports: Array<MapData, Raw<PortEntry>> = take(ebpf, MAP_PORTS)?;
        let listeners: HashMap<MapData, Raw<ListenerKey>, u32> = take(ebpf, MAP_LISTENERS)?;
        let mut halves = [Half::empty(), Half::empty()];
        for (half, words) in halves.iter_mut().zip(words.chunks(PORTS as usize)) {
            let entries = words.iter().map(|word| PortEntry::from_word(*word));
            half.ports = entries.collect();
        }
        for entry in listeners.iter() {
            let (Raw(key), server) = entry.context("read map", MAP_LISTENERS)?;
            let half = &mut halves[key.half as usize & 1];
            half.listeners.insert((key.class as u16, key.addr), server);
        }
        let upstreams: HashMap<MapData, Raw<UpstreamKey>, Raw<UpstreamServer>> =
            take(ebpf, MAP_UPSTREAMS)?;
        for key in upstreams.keys() {
            let Raw(key) = key.context("read map", MAP_UPSTREAMS)?;
            let half = &mut halves[key.half as usize & 1];
            half.upstreams.insert((key.addr, key.port as u16));
        }
        let switches = control.get(&0, 0).context("read map", MAP_CONTROL)?.0;
        let mut maps = Self {
            control,
            ports,
            listeners,
            upstreams,
            servers: take(ebpf, MAP_SERVERS)?,
            networks: NetworkMap::take_over(take(ebpf, MAP_NETWORKS)?)?,
            switches: Control {
                // Its subscribers are gone with it.
                report_passed: 0,
                ticks_per_second: ticks_per_second()?,
                max_waiting: max_waiting()?,
                ..switches
            },
            halves,
        };
        maps.withdraw()?;
        Ok(maps)
    }

    /// Indices of the zones that limits of these servers name in the policy in force.
    pub(super) fn zones_in_force(&self, servers: &[u16]) -> Result<HashSet<u16>, KernelError> {
        let half = self.switches.halves.active();
        let mut zones = HashSet::new();
        for server in servers {
            let place = half * MAX_SERVER_INDICES + u32::from(*server);
            let server = self.servers.get(&place, 0);
            let server = server.context("read map", MAP_SERVERS)?.0;
            let limits = server.limits.iter().take(server.limit_count.into());
            zones.extend(limits.map(|limit| limit.zone));
        }
        Ok(zones)
    }

    /// Writes the half that is not in force.
    pub(super) fn prepare(&mut self, compiled: &Compiled) -> Result<(), KernelError> {
        self.write_half(1 - self.switches.halves.active(), compiled)
    }

    /// From here on connections are charged for what was prepared, too, which refuses nobody yet.
    pub(super) fn announce(&mut self) -> Result<(), KernelError> {
        self.set_halves(self.switches.halves.with_next())
    }

    /// What was announced will not come.
    pub(super) fn withdraw(&mut self) -> Result<(), KernelError> {
        self.set_halves(Halves::only(self.switches.halves.active()))
    }

    /// Puts in force what was prepared.
    pub(super) fn switch(&mut self) -> Result<(), KernelError> {
        self.set_halves(Halves::only(1 - self.switches.halves.active()))
    }

    /// What connections hold changes with it, so a pass of the audit that is going on means nothing
    /// any more.
    fn set_halves(&mut self, halves: Halves) -> Result<(), KernelError> {
        self.set_switches(Control {
            halves: halves.following(self.switches.halves),
            pass: 0,
            ..self.switches
        })
    }

    /// A pass of the audit begins; its number.
    pub(super) fn begin_pass(&mut self) -> Result<u32, KernelError> {
        // 0 is none.
        let pass = match self.switches.last_pass {
            LAST_PASS.. => 1,
            last => last + 1,
        };
        self.set_switches(Control {
            pass,
            last_pass: pass,
            ..self.switches
        })?;
        Ok(pass)
    }

    /// The pass of the audit that may be going on ends, and whether it was this one.
    pub(super) fn end_pass(&mut self, pass: u32) -> Result<bool, KernelError> {
        let is_going_on = self.switches.pass == pass;
        if self.switches.pass != 0 {
            self.set_switches(Control {
                pass: 0,
                ..self.switches
            })?;
        }
        Ok(is_going_on)
    }

    /// Sets [`Control::report_passed`].
    pub(super) fn report_passed(&mut self, on: bool) -> Result<(), KernelError> {
        self.set_switches(Control {
            report_passed: on.into(),
            ..self.switches
        })
    }

    /// Writes what differs from what stands there.
    fn write_half(&mut self, half: u32, compiled: &Compiled) -> Result<(), KernelError> {
        let known = &mut self.halves[half as usize];
        for (port, (new, old)) in (0_u32..).zip(compiled.ports.iter().zip(&mut known.ports)) {
            if new != old {
                self.ports
                    .set(half * PORTS + port, Raw(*new), 0)
                    .context("write map", MAP_PORTS)?;
                *old = *new;
            }
        }
        let key = |class: u16, addr| {
            Raw(ListenerKey {
                addr,
                half,
                class: class.into(),
            })
        };
        for &(class, addr) in known.listeners.keys() {
            if !compiled.listeners.contains_key(&(class, addr)) {
                self.listeners
                    .remove(&key(class, addr))
                    .context("write map", MAP_LISTENERS)?;
            }
        }
        for (&(class, addr), server) in &compiled.listeners {
            self.listeners
                .insert(key(class, addr), server, 0)
                .context("write map", MAP_LISTENERS)?;
        }
        known.listeners.clone_from(&compiled.listeners);
        let key = |(addr, port): (Addr, u16)| {
            Raw(UpstreamKey {
                addr,
                half,
                port: port.into(),
            })
        };
        for &server in &known.upstreams {
            if !compiled.upstreams.contains_key(&server) {
                self.upstreams
                    .remove(&key(server))
                    .context("write map", MAP_UPSTREAMS)?;
            }
        }
        for (&server, value) in &compiled.upstreams {
            self.upstreams
                .insert(key(server), Raw(*value), 0)
                .context("write map", MAP_UPSTREAMS)?;
        }
        known.upstreams = compiled.upstreams.keys().copied().collect();
        self.networks.write(half as u8, &compiled.networks)?;
        for server in &compiled.servers {
            let server = ServerPolicy {
                half: half as u8,
                ..*server
            };
            let place = half * MAX_SERVER_INDICES + u32::from(server.index);
            self.servers
                .set(place, Raw(server), 0)
                .context("write map", MAP_SERVERS)?;
        }
        Ok(())
    }

    fn set_switches(&mut self, switches: Control) -> Result<(), KernelError> {
        self.control
            .set(0, Raw(switches), 0)
            .context("write map", MAP_CONTROL)?;
        self.switches = switches;
        Ok(())
    }
}

/// Takes a map out of the object.
pub(super) fn take<M>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, KernelError>
where
    M: TryFrom<Map, Error = MapError>,
{
    ebpf.take_map(name)
        .ok_or_else(|| KernelError::new("find map", name, "the object does not have it"))?
        .try_into()
        .context("find map", name)
}
