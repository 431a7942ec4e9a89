//! The metrics of the status.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_source::cluster::CredentialLifetime;
use hcn::{SlowCall, UnreadableMember};
use jiff::Timestamp;
use proxy::reconcile::Changes as Arrivals;
use proxy::settings::Capabilities;
use proxy::{Liveness, Progress};

use super::catalog::*;
use super::sample::{Sample, count};
use crate::config::Config;
use crate::status::StatusSnapshot;

pub(crate) fn of(snapshot: &StatusSnapshot, overdue: Option<SlowCall>) -> Vec<Sample> {
    let StatusSnapshot { status, changes, now, .. } = snapshot;
    let Progress { load_balancers, endpoints, without_backends, backlog, failed, contended, changes: arrivals, .. } =
        status.progress;
    let Arrivals { services, slices, pending_services, pending_slices } = arrivals;
    let mut samples = Vec::new();
    let families: Vec<String> = status.families.iter().map(ToString::to_string).collect();
    for (descriptor, at) in [(&LAST_QUEUED, changes.last_queued()), (&LAST_SYNCED, changes.last_programmed())] {
        let Some(at) = at.map(|at| now.wall_at(at).as_duration().as_secs_f64()) else { continue };
        samples.extend(families.iter().map(|family| Sample::of(descriptor, [family], at)));
    }
    samples.push(Sample::new(&ENDPOINT_CHANGES_PENDING, count(pending_slices as u64)));
    samples.push(Sample::new(&ENDPOINT_CHANGES, count(slices)));
    samples.push(Sample::new(&SERVICE_CHANGES_PENDING, count(pending_services as u64)));
    samples.push(Sample::new(&SERVICE_CHANGES, count(services)));
    for (policy, family, ports) in &status.without_local {
        samples.push(Sample::of(&NO_LOCAL_ENDPOINTS, [policy.as_str(), &family.to_string()], count(*ports as u64)));
    }
    let liveness = snapshot.liveness(overdue.is_some());
    for state in Liveness::ALL {
        samples.push(Sample::of(&HNS_LIVENESS, [state.as_str()], f64::from(u8::from(state == liveness))));
    }
    samples.push(Sample::new(&OVERDUE_CALL, overdue.map_or(0.0, |call| call.took.as_secs_f64())));
    if let Some(Capabilities { dsr, affinity, ipv6, modify, v1_endpoint_list, v1_load_balancer_list, .. }) =
        status.capabilities
    {
        let capabilities = [
            ("direct_server_return", dsr),
            ("session_affinity", affinity),
            ("ipv6", ipv6),
            ("modify_load_balancer", modify),
            ("v1_endpoint_list", v1_endpoint_list),
            ("v1_load_balancer_list", v1_load_balancer_list),
        ];
        samples.extend(capabilities.map(|(name, can)| Sample::of(&HNS_CAPABILITY, [name], f64::from(u8::from(can)))));
    }
    samples.extend(status.unreadable_members.iter().map(|UnreadableMember { kind, member, count: times, .. }| {
        Sample::of(&UNREADABLE_MEMBERS, [kind.name(), member], count(*times))
    }));
    let age = |since: Option<Duration>| since.map_or(0.0, |since| now.elapsed.saturating_sub(since).as_secs_f64());
    samples.extend([
        Sample::new(&LOAD_BALANCERS_DESIRED, count(load_balancers.desired as u64)),
        Sample::new(&LOAD_BALANCERS_IN_SYNC, count(load_balancers.in_sync as u64)),
        Sample::new(&ENDPOINTS_DESIRED, count(endpoints.desired as u64)),
        Sample::new(&ENDPOINTS_IN_SYNC, count(endpoints.in_sync as u64)),
        Sample::new(&WITHOUT_BACKENDS, count(without_backends as u64)),
        Sample::new(&BACKLOG, count(backlog as u64)),
        Sample::new(&FAILED, count(failed as u64)),
        Sample::new(&QUEUED, count(changes.queue_length() as u64)),
        Sample::new(&CONTENDED, count(contended as u64)),
        Sample::new(&OLDEST_CHANGE, age(changes.oldest())),
        Sample::new(&PENDING_LOAD_BALANCER, age(status.load_balancer_pending_since)),
    ]);
    let silence = snapshot.watch_silence();
    samples.extend(silence.map(|(kind, silence)| Sample::of(&WATCH_SILENCE, [kind], silence.as_secs_f64())));
    samples.extend(status.file_reads.map(|reads| Sample::new(&FILE_READS, count(reads))));
    let mut conditions: BTreeMap<&str, u64> = BTreeMap::new();
    status.conditions.iter().for_each(|condition| *conditions.entry(condition.condition.reason()).or_default() += 1);
    samples.extend(conditions.into_iter().map(|(reason, number)| Sample::of(&CONDITIONS, [reason], count(number))));
    samples
}

/// When the credentials for the API server expire, and when they were issued.
pub(crate) fn credentials(lifetimes: &[CredentialLifetime]) -> Vec<Sample> {
    let sample = |descriptor, lifetime: &CredentialLifetime, at: Timestamp| {
        Sample::of(descriptor, [lifetime.kind.as_str()], at.as_duration().as_secs_f64())
    };
    let expiry = lifetimes.iter().map(|lifetime| sample(&CREDENTIAL_EXPIRY, lifetime, lifetime.expires));
    let issued = lifetimes.iter().filter_map(|lifetime| Some(sample(&CREDENTIAL_ISSUED, lifetime, lifetime.issued?)));
    expiry.chain(issued).collect()
}

/// The versions, and the feature gates.
pub(crate) fn facts(config: &Config) -> Vec<Sample> {
    let version = &config.reported_version;
    let mut numbers = version.trim_start_matches('v').split('.');
    let [major, minor] = [numbers.next(), numbers.next()].map(Option::unwrap_or_default);
    let platform = format!("{}/{}", std::env::consts::OS, go_architecture());
    let build = [major, minor, version, "", "", "", "", "rustc", &platform];
    let mut facts =
        vec![Sample::of(&BUILD_INFO, build, 1.0), Sample::of(&OWN_BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1.0)];
    facts.extend(
        config
            .gates
            .stages()
            .map(|(name, stage, enabled)| Sample::of(&FEATURE_ENABLED, [name, stage], f64::from(u8::from(enabled)))),
    );
    facts
}

/// The architecture as Kubernetes names it.
fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
