//! Prometheus metrics: those of kube-proxy under their names, and others about HNS.
//!
//! Counters and histograms are in [`Metrics`]; gauges are computed from the [`StatusStore`](crate::status::StatusStore) at each request. All
//! metrics are listed in the `catalog`.

mod catalog;
mod drift;
mod failures;
mod format;
mod process;
#[cfg(test)]
mod reference;
mod sample;
mod state;
#[cfg(test)]
mod tests;
mod vector;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use cluster_source::cluster::CredentialLifetime;
use hcn::{FinishedCall, SlowCall};
use jiff::Timestamp;
use prometheus_client::encoding::{prometheus_protobuf, prometheus_text};
use prometheus_client::registry::Registry;
use proxy::apply::Outcome;
use proxy::reconcile::Trigger;
use proxy::{Drift, Reconciler};

use crate::config::Config;
use crate::log;
use crate::mutex::lock;
use crate::status::StatusSnapshot;
use drift::UnrepairedDrift;
use failures::FailedWrites;
pub(crate) use format::Format;
pub(crate) use sample::Sample;
use sample::Samples;
use vector::{Counters, Histograms, counters, histograms};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    Healthz,
    Livez,
}

/// Counters and histograms. May be used from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    sync: Histograms,
    programming: Histograms,
    healthz: Counters,
    livez: Counters,
    hns_calls: Histograms,
    steps: Counters,
    failed_writes: FailedWrites,
    drift_found: Counters,
    drift_repaired: Counters,
    drifting: Mutex<UnrepairedDrift>,
    events: Counters,
    connections_closed: Counters,
    accept_errors: Counters,
    rest_requests: Counters,
    rest_duration: Histograms,
    rest_limiter: Histograms,
    probe_duration: Histograms,
    probe_failures: Counters,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        Self {
            sync: histograms(&mut registry, &catalog::SYNC_DURATION),
            programming: histograms(&mut registry, &catalog::NETWORK_PROGRAMMING),
            healthz: counters(&mut registry, &catalog::HEALTHZ),
            livez: counters(&mut registry, &catalog::LIVEZ),
            hns_calls: histograms(&mut registry, &catalog::HNS_CALLS),
            steps: counters(&mut registry, &catalog::STEPS),
            failed_writes: FailedWrites::new(&mut registry),
            drift_found: counters(&mut registry, &catalog::DRIFT_FOUND),
            drift_repaired: counters(&mut registry, &catalog::DRIFT_REPAIRED),
            drifting: Mutex::default(),
            events: counters(&mut registry, &catalog::EVENTS),
            connections_closed: counters(&mut registry, &catalog::CONNECTIONS_CLOSED),
            accept_errors: counters(&mut registry, &catalog::ACCEPT_ERRORS),
            rest_requests: counters(&mut registry, &catalog::REST_REQUESTS),
            rest_duration: histograms(&mut registry, &catalog::REST_DURATION),
            rest_limiter: histograms(&mut registry, &catalog::REST_LIMITER),
            probe_duration: histograms(&mut registry, &catalog::PROBE_DURATION),
            probe_failures: counters(&mut registry, &catalog::PROBE_FAILURES),
            registry,
        }
    }
}

impl Metrics {
    pub fn hns_call(&self, call: &FinishedCall) {
        let result = call.error.map_or("ok", |class| class.as_str());
        self.hns_calls.of([call.function, result]).observe(call.took.as_secs_f64());
    }

    /// Counts a response of a health check.
    pub fn probe(&self, probe: Probe, code: u16) {
        let counters = match probe {
            Probe::Healthz => &self.healthz,
            Probe::Livez => &self.livez,
        };
        counters.of([&code.to_string()]).inc();
    }

    /// Counts a run: its duration and its steps.
    pub fn run(&self, proxy: &Reconciler, took: Duration, outcomes: &[Outcome]) {
        if proxy.is_complete() {
            for family in proxy.families() {
                self.sync.of([&family.to_string()]).observe(took.as_secs_f64());
            }
        }
        for outcome @ Outcome { step, result, .. } in outcomes {
            self.failed_writes.record(outcome, |frontend| proxy.kind_of(frontend));
            let result = if result.is_ok() { "ok" } else { "failed" };
            self.steps.of([step.action.name(), step.reason.as_str(), result]).inc();
        }
    }

    /// Counts the drift that was repaired since the last call of this function, and returns it. Costs a look at all drift that is left.
    pub fn drift_repaired(&self, proxy: &Reconciler) -> Vec<Drift> {
        let mut drifting = lock(&self.drifting);
        let repaired = drifting.take_repaired(|subject| proxy.is_settled(subject));
        for drift in &repaired {
            self.drift_repaired.of([drift.cause.as_str()]).inc();
        }
        repaired
    }

    /// How many objects differ from what was last written and are not repaired, by cause.
    pub(crate) fn unrepaired_drift(&self) -> BTreeMap<&'static str, usize> {
        lock(&self.drifting).by_cause()
    }

    pub fn drift(&self, found: &[Drift]) {
        let mut drifting = lock(&self.drifting);
        for drift in found {
            drifting.add(*drift);
            self.drift_found.of([drift.cause.as_str()]).inc();
        }
    }

    /// Counts the latency of changes that are programmed now.
    pub fn programmed(&self, triggers: &[Trigger], now: Timestamp) {
        for Trigger { family, at } in triggers {
            let Ok(at) = Timestamp::from_nanosecond(i128::from(*at)) else { continue };
            self.programming.of([&family.to_string()]).observe(now.duration_since(at).as_secs_f64());
        }
    }

    /// Counts Events: sent, failed or dropped.
    pub fn events(&self, result: &str, count: u64) {
        if count > 0 {
            self.events.of([result]).inc_by(count);
        }
    }

    /// Counts a connection that a listener closed before its client.
    pub(crate) fn connection_closed(&self, listener: &str, cause: &str) {
        self.connections_closed.of([listener, cause]).inc();
    }

    pub(crate) fn accept_error(&self, listener: &str) {
        self.accept_errors.of([listener]).inc();
    }

    /// Counts a request to the API server. Without an answer, the code is `<error>`, as in kube-proxy.
    pub fn rest_request(&self, host: &str, method: &str, code: Option<u16>, took: Duration) {
        let code = code.map_or_else(|| "<error>".to_owned(), |code| code.to_string());
        self.rest_requests.of([&code, method, host]).inc();
        self.rest_duration.of([method, host]).observe(took.as_secs_f64());
    }

    /// Counts how long the rate limiter delayed a request.
    pub fn rest_limited(&self, host: &str, method: &str, took: Duration) {
        self.rest_limiter.of([method, host]).observe(took.as_secs_f64());
    }

    /// Records a probe of a cluster IP under the value of `--probe-vips`. `answer` is the response time; `None` counts as a failure.
    pub(crate) fn vip_probe(&self, target: &str, answer: Option<Duration>) {
        match answer {
            Some(took) => self.probe_duration.of([target]).observe(took.as_secs_f64()),
            None => drop(self.probe_failures.of([target]).inc()),
        }
    }

    /// All metrics in a format. `overdue` is the HNS call in flight that exceeds its budget. For `facts`, see [`facts`]. `None` if they cannot be
    /// encoded.
    pub(crate) fn page(
        &self,
        format: Format,
        snapshot: &StatusSnapshot,
        overdue: Option<SlowCall>,
        facts: &[Sample],
    ) -> Option<Vec<u8>> {
        let samples = samples(snapshot, overdue, facts);
        let registries = [&self.registry, &samples];
        match format {
            Format::Text => {
                let mut text = String::new();
                registries.iter().try_for_each(|registry| prometheus_text::encode(&mut text, registry)).ok()?;
                Some(text.into_bytes())
            }
            Format::Protobuf => {
                let encoded = registries.map(|registry| prometheus_protobuf::encode_to_vec(registry).ok());
                let [own, samples] = encoded;
                Some([own?, samples?].concat())
            }
        }
    }
}

/// The values that are collected at each request.
fn samples(snapshot: &StatusSnapshot, overdue: Option<SlowCall>, facts: &[Sample]) -> Registry {
    let mut samples = state::of(snapshot, overdue);
    samples.extend(process::now());
    let lost_lines = log::file_status().map_or(0, |file| file.lost_lines);
    samples.push(Sample::new(&catalog::LOG_LINES_LOST, sample::count(lost_lines)));
    samples.extend(facts.iter().cloned());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Samples(samples)));
    registry
}

/// The metrics of the credentials for the API server.
pub(crate) fn credentials(lifetimes: &[CredentialLifetime]) -> Vec<Sample> {
    state::credentials(lifetimes)
}

/// The metrics that the configuration alone determines.
pub(crate) fn facts(config: &Config) -> Vec<Sample> {
    state::facts(config)
}
