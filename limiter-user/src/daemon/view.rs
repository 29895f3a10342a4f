//! A policy, and what the kernel counts under it, in the words of the API.

use limiter_common::{
    counters::PacketCounters,
    key::{KeyFields, ZoneKey},
};

use super::in_force::InForce;
use crate::{
    api::{
        InterfacePolicy, KeyParts, LimitStatus, OverrideStatus, PacketStatus, PolicyStatus,
        QueuePolicy, QueueStatus, ServerStatus, UpstreamPolicy, UpstreamServerPolicy,
        UpstreamServerStatus, UpstreamStatus, ZonePolicy,
    },
    kernel::UpstreamReadings,
    policy::{LimitConn, LogTarget, Policy, Server, Upstream, Zone, origin::Origins},
    zone_map::MapSize,
};

/// All of a policy, with where it comes from, for a machine that may have so many CPUs.
pub fn policy(policy: &Policy, origins: Origins, cpus: u64) -> PolicyStatus {
    let zones = policy.zones.iter().map(|zone| ZonePolicy {
        zone: zone.name.clone(),
        key: zone.key.text.clone(),
        v4_prefix: zone.client_prefixes().map(|it| it.v4),
        v6_prefix: zone.client_prefixes().map(|it| it.v6),
        on_full: zone.on_full,
        capacity: zone.capacity(),
        size_bytes: zone.size_bytes,
        memory_bytes: MapSize::of(zone.capacity(), cpus).memory_bytes(),
    });
    let interfaces = policy.interfaces().map(|interface| InterfacePolicy {
        interface: interface.name.clone(),
        mode: interface.mode,
    });
    PolicyStatus {
        zones: zones.collect(),
        servers: servers(policy),
        upstreams: policy.upstreams.iter().map(upstream_policy).collect(),
        cgroups: policy
            .cgroups()
            .map(|path| path.display().to_string())
            .collect(),
        interfaces: interfaces.collect(),
        error_log: match &policy.error_log.target {
            LogTarget::Stderr => "stderr".to_owned(),
            LogTarget::Journal => "journal".to_owned(),
            LogTarget::File(path) => path.display().to_string(),
        },
        error_log_level: policy.error_log.level,
        error_log_format: policy.error_log.format,
        control: policy
            .control
            .as_ref()
            .map(|path| path.display().to_string()),
        control_group: policy.grant.group.as_ref().map(|it| it.name.clone()),
        control_others: policy.grant.others,
        metrics: policy.metrics.listen.clone(),
        metrics_top: policy.metrics.top,
        metrics_run_time: policy.metrics.run_time,
        origins,
    }
}

fn upstream_policy(upstream: &Upstream) -> UpstreamPolicy {
    let servers = upstream.servers.iter().map(|it| UpstreamServerPolicy {
        server: it.addr,
        max_conns: it.max_conns,
    });
    UpstreamPolicy {
        upstream: upstream.name.clone(),
        servers: servers.collect(),
        queue: upstream.queue.map(|it| QueuePolicy {
            max: it.max,
            timeout_ms: it.timeout_ms,
        }),
        dry_run: upstream.dry_run,
        log_level: upstream.log_level,
    }
}

/// Every upstream in force, with what is counted of each server, upstream by upstream, and of each
/// queue.
pub fn upstreams(policy: &Policy, counted: &UpstreamReadings) -> Vec<UpstreamStatus> {
    let mut queues = counted.queues.iter();
    let mut counted = counted.servers.iter();
    let upstreams = policy.upstreams.iter().map(|upstream| {
        let queue = queues.next().copied().flatten();
        let servers = upstream.servers.iter().zip(counted.by_ref());
        let servers = servers.map(|(it, counted)| UpstreamServerStatus {
            server: it.addr,
            max_conns: it.max_conns,
            active: counted.connections,
            passed: counted.passed,
            rejected: counted.rejected,
            rejected_dry_run: counted.rejected_dry_run,
            untracked: counted.untracked,
        });
        UpstreamStatus {
            upstream: upstream.name.clone(),
            servers: servers.collect(),
            queue: upstream.queue.zip(queue).map(|(it, counted)| QueueStatus {
                max: it.max,
                timeout_ms: it.timeout_ms,
                queued: counted.connections,
                waited: counted.passed,
                rejected: counted.rejected,
                timed_out: counted.timed_out,
                longest_wait_ms: counted.longest_wait_ns / 1_000_000,
            }),
            dry_run: upstream.dry_run,
            log_level: upstream.log_level,
        }
    });
    upstreams.collect()
}

/// Every server in force.
pub fn servers(policy: &Policy) -> Vec<ServerStatus> {
    let servers = policy.servers.iter();
    servers.map(|server| self::server(policy, server)).collect()
}

/// One server in force.
pub fn server(policy: &Policy, server: &Server) -> ServerStatus {
    let limits = server.limits.iter().filter_map(|limit| {
        let zone = policy.zones.get(limit.zone)?;
        Some(LimitStatus {
            zone: zone.name.clone(),
            limit: limit.number.into(),
            overrides: overrides(limit),
        })
    });
    ServerStatus {
        server: server.name.clone(),
        listen: server.listen.iter().map(ToString::to_string).collect(),
        limits: limits.collect(),
        exempt: server.exempt.clone(),
        dry_run: server.dry_run,
        log_level: server.log_level,
        action: server.action.kind(),
        delay_ms: server.action.delay_ms(),
        changed: Vec::new(),
    }
}

fn overrides(limit: &LimitConn) -> Vec<OverrideStatus> {
    let overrides = limit.overrides.iter().map(|one| OverrideStatus {
        network: one.network,
        limit: one.number.into(),
    });
    overrides.collect()
}

/// Packets that were not understood.
pub fn packets(counters: &PacketCounters) -> PacketStatus {
    PacketStatus {
        not_ip: counters.not_ip,
        not_tcp: counters.not_tcp,
        fragment: counters.fragment,
        truncated: counters.truncated,
        too_many_tags: counters.too_many_tags,
        too_many_extensions: counters.too_many_extensions,
    }
}

/// What one key of a zone consists of.
pub fn key(policy: &InForce, zone: &Zone, key: &ZoneKey) -> KeyParts {
    let has = |field| zone.key.fields.contains(field).then_some(());
    let remote_addr = has(KeyFields::REMOTE_ADDR).map(|()| key.remote().into());
    let server_name = || Some(policy.server(key.server()?)?.name.clone());
    KeyParts {
        remote_addr,
        remote_prefix: remote_addr.and_then(|addr| zone.prefixes.shorter_than(addr)),
        server_addr: has(KeyFields::SERVER_ADDR).map(|()| key.local().into()),
        server_port: has(KeyFields::SERVER_PORT).map(|()| key.port()),
        server_name: has(KeyFields::SERVER_NAME).and_then(|()| server_name()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
