//! One run: makes changes and faults when they are due, compares HNS with the API server, and takes a sample each second.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;
use hcn::{Guid, Kind};
use serde_json::{Value, json};

use super::SHUTDOWN_LIMIT;
use super::churn::Churn;
use super::cni::Cni;
use super::expected;
use super::faults::{ApiFault, Faults, HnsFault, Turn};
use super::observed::{Observed, observe};
use super::rules::{CHANGE_BOUND, IN_PLACE_BOUND, OUTAGE_BOUND, Resources};
use super::sample::{Sample, line};
use super::staleness::{Difference, Staleness};
use super::state::{Entry, Key};
use super::world::World;
use crate::process::say;
use crate::rig::{NETWORK, Rig, median_and_p99};

/// The time between two comparisons, which is the resolution of latencies.
const TICK: Duration = Duration::from_millis(50);
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// The age of the backup that the API server is restored from.
const BACKUP_AGE: Duration = Duration::from_secs(20);
/// How long HNS may take to be in sync when all changes and faults have ended: the repair of objects that happened to be changed three times by
/// others is delayed by up to 72 s.
const SETTLE_LIMIT: Duration = Duration::from_secs(120);
/// The most failures that are kept. A rule that is broken is broken in many samples.
const MAX_FAILURES: usize = 20;

pub(super) struct Run {
    rig: Rig,
    world: World,
    /// The cluster at an earlier time, and which time that was.
    backup: (World, Duration),
    foreign: Vec<(&'static str, Guid, Value)>,
    churn: Churn,
    cni: Cni,
    hns_faults: Faults<HnsFault>,
    api_faults: Faults<ApiFault>,
    random: Rng,
    change_pause: Duration,
    next_change: Duration,
    staleness: Staleness,
    observed: Observed,
    /// Frontends that another program has changed in place and that are not repaired.
    in_place: BTreeSet<Key>,
    /// Milliseconds from changes to HNS: with no fault since the change, and others.
    latencies: [Vec<f64>; 2],
    /// The longest latency since the last sample.
    longest: Option<f64>,
    calls: (u64, u64),
    samples: Vec<Sample>,
    failures: Vec<String>,
    begun: Instant,
}

impl Run {
    /// Adds foreign objects to HNS. The program must be in sync.
    pub(super) fn new(rig: Rig, world: World, random: &mut Rng, changes_per_second: f64) -> Self {
        let foreign = add_foreign(&rig);
        let observed = observe(rig.emulator(), &foreign);
        let change_pause = Duration::try_from_secs_f64(1.0 / changes_per_second).unwrap_or(Duration::MAX);
        Self {
            backup: (world.clone(), Duration::ZERO),
            foreign,
            churn: Churn::new(random.fork()),
            cni: Cni::new(random.fork()),
            hns_faults: Faults::new(random.fork()),
            api_faults: Faults::new(random.fork()),
            random: random.fork(),
            change_pause,
            next_change: Duration::ZERO,
            staleness: Staleness::default(),
            observed,
            in_place: BTreeSet::new(),
            latencies: [Vec::new(), Vec::new()],
            longest: None,
            calls: (0, 0),
            samples: Vec::new(),
            failures: Vec::new(),
            begun: Instant::now(),
            rig,
            world,
        }
    }

    pub(super) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    pub(super) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Changes and faults for a time, then checks that HNS is in sync, and ends the program.
    ///
    /// # Errors
    /// If the test cannot go on, for example because the program ended.
    pub(super) fn run(&mut self, length: Duration) -> Result<()> {
        // What is programmed at the start is not a change.
        self.compare(Duration::ZERO);
        (self.latencies, self.longest) = Default::default();
        while self.begun.elapsed() < length {
            let now = self.begun.elapsed();
            self.change(now)?;
            self.turn_hns(now);
            self.turn_api(now)?;
            self.tick(now)?;
        }
        let now = self.begun.elapsed();
        say(format_args!("changes and faults ended; waiting until HNS is in sync"));
        if let Some(fault) = self.hns_faults.end(now) {
            fault.end(self.rig.emulator());
        }
        if let Some(fault) = self.api_faults.end(now) {
            fault.end(&self.rig.api)?;
        }
        self.wait_until_in_sync(now + SETTLE_LIMIT)?;
        self.check_plan()?;
        let took = self.rig.shut_down(SHUTDOWN_LIMIT);
        self.failures.extend(took.err().map(|error| error.to_string()));
        Ok(())
    }

    fn change(&mut self, now: Duration) -> Result<()> {
        if now.saturating_sub(self.backup.1) >= BACKUP_AGE {
            self.backup = (self.world.clone(), now);
        }
        while self.next_change <= now {
            self.churn.step(&mut self.world, &self.rig.api)?;
            self.next_change += self.change_pause.mul_f64(2.0 * self.random.f64());
        }
        Ok(())
    }

    fn turn_hns(&mut self, now: Duration) {
        let emulator = self.rig.emulator();
        match self.hns_faults.turn(now, HnsFault::choose) {
            Some(Turn::Begin(fault)) => {
                self.in_place.extend(fault.begin(emulator, &self.foreign, &mut self.random));
            }
            Some(Turn::End(fault)) => fault.end(emulator),
            None => return,
        }
        // What disappears in a restart without being ours is created again by its owner.
        self.restore_foreign();
    }

    fn turn_api(&mut self, now: Duration) -> Result<()> {
        match self.api_faults.turn(now, ApiFault::choose) {
            Some(Turn::Begin(fault)) => fault.begin(&self.rig.api, &mut self.world, &self.backup.0),
            Some(Turn::End(fault)) => fault.end(&self.rig.api),
            None => Ok(()),
        }
    }

    fn restore_foreign(&self) {
        let is_stopped = self.hns_faults.current().is_some_and(HnsFault::stops_hns);
        for (name, id, document) in &self.foreign {
            let kind = foreign_kind(name);
            if !is_stopped && self.rig.emulator().document(kind, *id).is_none() {
                self.rig.emulator().add(kind, document.clone());
            }
        }
    }

    /// Compares, and takes a sample if a second has passed. Then waits for the next tick.
    fn tick(&mut self, now: Duration) -> Result<()> {
        self.rig.ensure_running()?;
        self.compare(now);
        if !self.hns_faults.current().is_some_and(HnsFault::stops_hns) {
            let pods: BTreeSet<_> = self.world.local_addresses().collect();
            self.cni.step(now, &pods, &self.observed.local, self.rig.emulator());
        }
        let last = self.samples.last().map_or(0.0, |sample| sample.second);
        if now.as_secs_f64() - last >= SAMPLE_INTERVAL.as_secs_f64() {
            self.sample(now)?;
        }
        std::thread::sleep(TICK.saturating_sub(self.begun.elapsed().saturating_sub(now)));
        Ok(())
    }

    fn compare(&mut self, now: Duration) {
        self.observed = observe(self.rig.emulator(), &self.foreign);
        let local = self.observed.local.keys().copied().collect();
        let mut expected = expected::state(&self.rig.api.objects(), &local);
        expected.extend(self.foreign.iter().map(|(name, ..)| (Key::Foreign(name), Entry::Foreign)));
        for programmed in self.staleness.update(now, &expected, &self.observed.state) {
            let is_calm =
                self.hns_faults.none_since(programmed.changed) && self.api_faults.none_since(programmed.changed);
            let [calm, others] = &mut self.latencies;
            let latency = programmed.latency.as_secs_f64() * 1000.0;
            if is_calm {
                calm.push(latency)
            } else {
                others.push(latency)
            }
            self.longest = Some(self.longest.map_or(latency, |longest| longest.max(latency)));
        }
        self.in_place.retain(|key| !self.staleness.is_in_sync(key));
    }

    /// The oldest difference, if it is older than the limit for its kind. `reported` is whether an outage of the API server is reported.
    fn overdue(&self, now: Duration, reported: bool) -> Option<Difference> {
        let change_bound = if reported { OUTAGE_BOUND } else { CHANGE_BOUND };
        let is_in_place = |key: &Key| self.in_place.contains(key);
        let too_old = |found: &Difference, bound| now.saturating_sub(found.since) > bound;
        let changed = self.staleness.oldest(|key| !is_in_place(key)).filter(|found| too_old(found, change_bound));
        changed.or_else(|| self.staleness.oldest(is_in_place).filter(|found| too_old(found, IN_PLACE_BOUND)))
    }

    fn sample(&mut self, now: Duration) -> Result<()> {
        let before = [false, true].map(|reported| self.overdue(now, reported));
        let page = self.rig.readyz()?;
        let readyz = page.as_ref().map(|page| page.code);
        let reported = page.is_some_and(|page| reports_outage(&page.body));
        let [unreported_before, reported_before] = before;
        let before = if reported { reported_before } else { unreported_before };
        let oldest = self.staleness.oldest(|_| true);
        let second = now.as_secs_f64();
        if readyz.is_none() {
            self.fail(format!("at {second:.0} s: /readyz did not answer{}", self.during()));
        }
        if readyz == Some(200)
            && let Some(before) = before
        {
            // HNS may have been programmed before the answer: only what differs after it, too, was different when the program answered.
            self.compare(self.begun.elapsed());
            if let Some(Difference { since, text, .. }) =
                self.overdue(now, reported).filter(|after| after.key == before.key && after.since == before.since)
            {
                let age = now.saturating_sub(since).as_secs_f64();
                self.fail(format!(
                    "at {second:.0} s: ready although HNS has differed for {age:.0} s: {text}{}",
                    self.during()
                ));
            }
        }
        let emulator = self.rig.emulator();
        let calls = (emulator.native_calls(), emulator.writes());
        let sample = Sample {
            second,
            rss_mb: self.rig.memory()?[0],
            descriptors: self.rig.descriptors()?,
            services: self.world.services(),
            calls: calls.0.saturating_sub(self.calls.0),
            writes: calls.1.saturating_sub(self.calls.1),
            latency_ms: self.longest.take(),
            differences: self.staleness.differences(),
            staleness: oldest.map_or(0.0, |found| now.saturating_sub(found.since).as_secs_f64()),
            readyz,
            hns_fault: self.hns_fault(),
            api_fault: self.api_fault(),
        };
        self.calls = calls;
        let is_due = |second: f64| (second / PROGRESS_INTERVAL.as_secs_f64()).floor();
        if self.samples.last().is_none_or(|last| is_due(last.second) < is_due(second)) {
            say(format_args!("{}", line(&sample)));
        }
        self.samples.push(sample);
        Ok(())
    }

    fn wait_until_in_sync(&mut self, until: Duration) -> Result<()> {
        loop {
            let now = self.begun.elapsed();
            self.tick(now)?;
            let ready = self.samples.last().is_some_and(|sample| sample.readyz == Some(200));
            let settled = self.samples.last().is_some_and(|sample| sample.differences == 0 && sample.writes == 0);
            if ready && settled && self.staleness.differences() == 0 {
                return Ok(());
            }
            if now > until {
                let page = self.rig.readyz()?.map_or_else(|| "no answer".to_owned(), |page| page.body);
                let difference =
                    self.staleness.oldest(|_| true).map_or_else(|| "no difference".to_owned(), |found| found.text);
                let count = self.staleness.differences();
                self.fail(format!(
                    "HNS is not in sync {SETTLE_LIMIT:?} after the last change: {count} differences, the oldest: {difference}; /readyz: {page}"
                ));
                return Ok(());
            }
        }
    }

    /// A new process must find nothing to do. It also compares what this test does not, for example flags.
    fn check_plan(&mut self) -> Result<()> {
        let plan = self.rig.plan()?;
        let steps = plan.get("steps").and_then(Value::as_array).context("hnsproxy plan: missing steps")?;
        if let Some(step) = steps.first() {
            let count = steps.len();
            self.fail(format!("hnsproxy plan has {count} steps, the first: {step}"));
        }
        Ok(())
    }

    fn hns_fault(&self) -> &'static str {
        self.hns_faults.current().map_or("", HnsFault::name)
    }

    fn api_fault(&self) -> &'static str {
        self.api_faults.current().map_or("", ApiFault::name)
    }

    /// The current faults, for a failure.
    fn during(&self) -> String {
        let faults = [("HNS", self.hns_fault()), ("API server", self.api_fault())];
        let current = faults.iter().filter(|(_, fault)| !fault.is_empty());
        current.map(|(side, fault)| format!("; fault of {side}: {fault}")).collect()
    }

    fn fail(&mut self, text: String) {
        if self.failures.len() < MAX_FAILURES {
            say(format_args!("FAILED  {text}"));
            self.failures.push(text);
        }
    }

    /// The figures of the whole run.
    pub(super) fn summary(&self, resources: Option<&Resources>) -> String {
        let mut rows = vec![
            ("seconds", format!("{:.0}", self.samples.last().map_or(0.0, |sample| sample.second))),
            ("Services", self.world.services().to_string()),
            ("native calls, writes", format!("{}, {}", self.calls.0, self.calls.1)),
            ("faults of HNS, of the API server", format!("{}, {}", self.hns_faults.count, self.api_faults.count)),
        ];
        for (name, latencies) in ["without faults", "with faults"].into_iter().zip(&self.latencies) {
            let [median, p99] = median_and_p99(latencies.clone());
            let worst = latencies.iter().copied().fold(0.0, f64::max);
            let count = latencies.len();
            rows.push((
                "latency ms, median, 99 %, worst",
                format!("{median:.0}, {p99:.0}, {worst:.0} ({count} changes {name})"),
            ));
        }
        let worst = self.samples.iter().map(|sample| sample.staleness).fold(0.0, f64::max);
        let ready = self.samples.iter().filter(|sample| sample.readyz == Some(200));
        let worst_ready = ready.clone().map(|sample| sample.staleness).fold(0.0, f64::max);
        rows.push(("staleness s, worst, worst while ready", format!("{worst:.1}, {worst_ready:.1}")));
        rows.push(("samples, ready", format!("{}, {}", self.samples.len(), ready.count())));
        match resources {
            Some(Resources { warm_mb, peak_mb, end_mb, warm_descriptors, peak_descriptors, end_descriptors }) => {
                rows.push(("RSS MB, warm, peak, end", format!("{warm_mb:.1}, {peak_mb:.1}, {end_mb:.1}")));
                let descriptors = format!("{warm_descriptors}, {peak_descriptors}, {end_descriptors}");
                rows.push(("descriptors, warm, peak, end", descriptors));
            }
            None => rows.push(("RSS MB, warm, peak, end", "the run was too short".to_owned())),
        }
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let rows = rows.iter().map(|(name, value)| format!("{name:width$}  {value}"));
        rows.collect::<Vec<_>>().join("\n")
    }
}

/// Whether a body of `/readyz` says that the API server is unavailable.
fn reports_outage(body: &str) -> bool {
    let state: Option<Value> = serde_json::from_str(body).ok();
    state.is_some_and(|state| state.pointer("/cluster/available") == Some(&Value::Bool(false)))
}

/// The address of foreign objects, which no Service uses.
const FOREIGN_ADDRESS: &str = "10.97.0.1";
const FOREIGN_BACKEND: &str = "12.0.0.1";

/// A remote endpoint and a load balancer of another program.
fn add_foreign(rig: &Rig) -> Vec<(&'static str, Guid, Value)> {
    let endpoint = json!({
        "ID": Guid::new_v4(), "HostComputeNetwork": NETWORK, "Flags": 1,
        "IpConfigurations": [{"IpAddress": FOREIGN_BACKEND, "PrefixLength": 8}],
    });
    let endpoint_id = rig.emulator().add(Kind::Endpoint, endpoint);
    let load_balancer = json!({
        "ID": Guid::new_v4(), "FrontendVIPs": [FOREIGN_ADDRESS], "HostComputeEndpoints": [endpoint_id],
        "PortMappings": [{"Protocol": 6, "ExternalPort": 80, "InternalPort": 8080}],
    });
    let load_balancer_id = rig.emulator().add(Kind::LoadBalancer, load_balancer);
    let foreign = [(FOREIGN_ENDPOINT, endpoint_id), (FOREIGN_LOAD_BALANCER, load_balancer_id)];
    // With what the emulator adds to a document.
    let document = |name, id| rig.emulator().document(foreign_kind(name), id);
    foreign.into_iter().filter_map(|(name, id)| Some((name, id, document(name, id)?))).collect()
}

const FOREIGN_ENDPOINT: &str = "endpoint";
const FOREIGN_LOAD_BALANCER: &str = "load balancer";

fn foreign_kind(name: &str) -> Kind {
    if name == FOREIGN_ENDPOINT { Kind::Endpoint } else { Kind::LoadBalancer }
}
