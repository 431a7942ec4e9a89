//! What Prometheus is told: kube-proxy's metrics under their names, and more about HNS.
//!
//! What happens is counted in [`Metrics`] when it happens; how things stand is taken from the [`Board`](crate::board::Board) when
//! somebody asks. All metrics are listed in the `catalog`.

mod catalog;
mod drift;
mod process;
#[cfg(test)]
mod reference;
mod sample;
mod state;
#[cfg(test)]
mod tests;
mod vector;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hcn::MeteredCall;
use jiff::Timestamp;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::registry::Registry;
use proxy::apply::Outcome;
use proxy::reconcile::Trigger;
use proxy::{Drift, Liveness, Reconciler};

use crate::board::View;
use crate::config::Config;
use drift::Drifting;
pub(crate) use sample::Sample;
use sample::Samples;
use vector::{Counters, Histograms, counters, histograms};

/// Which of the two questions of health was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// `/healthz`.
    Healthz,
    /// `/livez`.
    Livez,
}

/// What is counted when it happens. May be used from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    sync: Histograms,
    programming: Histograms,
    healthz: Counters,
    livez: Counters,
    hns_calls: Histograms,
    steps: Counters,
    drift_found: Counters,
    drift_repaired: Counters,
    drifting: Mutex<Drifting>,
    events: Counters,
    rest_requests: Counters,
    rest_duration: Histograms,
    rest_limiter: Histograms,
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
            drift_found: counters(&mut registry, &catalog::DRIFT_FOUND),
            drift_repaired: counters(&mut registry, &catalog::DRIFT_REPAIRED),
            drifting: Mutex::default(),
            events: counters(&mut registry, &catalog::EVENTS),
            rest_requests: counters(&mut registry, &catalog::REST_REQUESTS),
            rest_duration: histograms(&mut registry, &catalog::REST_DURATION),
            rest_limiter: histograms(&mut registry, &catalog::REST_LIMITER),
            registry,
        }
    }
}

impl Metrics {
    /// Counts a native call.
    pub fn hns_call(&self, call: &MeteredCall) {
        let result = call.failed.map_or("ok", |class| class.as_str());
        self.hns_calls.of([call.function, result]).observe(call.took.as_secs_f64());
    }

    /// Counts an answer to a question of health.
    pub fn probe(&self, probe: Probe, code: u16) {
        let counters = match probe {
            Probe::Healthz => &self.healthz,
            Probe::Livez => &self.livez,
        };
        counters.of([&code.to_string()]).inc();
    }

    /// Counts a run: how long it took, what it did, and what was found on the way.
    pub fn run(&self, proxy: &Reconciler, took: Duration, outcomes: &[Outcome]) {
        if proxy.is_complete() {
            for family in proxy.families() {
                self.sync.of([&family.to_string()]).observe(took.as_secs_f64());
            }
        }
        for Outcome { step, result, .. } in outcomes {
            let result = if result.is_ok() { "ok" } else { "failed" };
            self.steps.of([step.action.name(), step.reason.as_str(), result]).inc();
        }
        let mut drifting = self.drifting.lock().unwrap_or_else(PoisonError::into_inner);
        for cause in drifting.take_settled(|subject| proxy.is_settled(subject)) {
            self.drift_repaired.of([cause.as_str()]).inc();
        }
    }

    /// How many objects differ from what was last written and are not repaired, by cause.
    pub(crate) fn unrepaired_drift(&self) -> BTreeMap<&'static str, usize> {
        self.drifting.lock().unwrap_or_else(PoisonError::into_inner).by_cause()
    }

    /// Counts what HNS was found to hold otherwise than believed.
    pub fn drift(&self, found: &[Drift]) {
        let mut drifting = self.drifting.lock().unwrap_or_else(PoisonError::into_inner);
        for drift in found {
            drifting.add(*drift);
            self.drift_found.of([drift.cause.as_str()]).inc();
        }
    }

    /// Counts how long changes took that are programmed now. Those from before `since` are nobody's to answer for.
    pub fn programmed(&self, triggers: &[Trigger], since: Timestamp, now: Timestamp) {
        for Trigger { family, at } in triggers {
            let Ok(at) = Timestamp::from_nanosecond(i128::from(*at)) else { continue };
            if at > since {
                self.programming.of([&family.to_string()]).observe(now.duration_since(at).as_secs_f64());
            }
        }
    }

    /// Counts Events, by what became of them.
    pub fn events(&self, result: &str, count: u64) {
        if count > 0 {
            self.events.of([result]).inc_by(count);
        }
    }

    /// Counts a request to the API server. Without an answer, the code is `<error>`, as in kube-proxy.
    pub fn rest_request(&self, host: &str, method: &str, code: Option<u16>, took: Duration) {
        let code = code.map_or_else(|| "<error>".to_owned(), |code| code.to_string());
        self.rest_requests.of([&code, method, host]).inc();
        self.rest_duration.of([method, host]).observe(took.as_secs_f64());
    }

    /// Counts how long a request waited for its turn.
    pub fn rest_limited(&self, host: &str, method: &str, took: Duration) {
        self.rest_limiter.of([method, host]).observe(took.as_secs_f64());
    }

    /// Everything in the text format of Prometheus. `facts` never change; see [`facts`].
    pub(crate) fn text(&self, view: &View, liveness: Liveness, facts: &[Sample]) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        let mut samples = state::of(view, liveness);
        samples.extend(process::now());
        samples.extend(facts.iter().cloned());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Samples(samples)));
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// What a configuration says for good.
pub(crate) fn facts(config: &Config) -> Vec<Sample> {
    state::facts(config)
}
