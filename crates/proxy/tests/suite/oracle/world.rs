//! A host, a cluster and a process, step by step. Everything depends on the seed alone; the numbers of a step do not depend on other steps.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hcn::{ApiVersion, Client, Kind, Version};
use hcn_emulator::Emulator;
use hcn_emulator::testing::host;
use proxy::apply::{Interruption, Workers};
use proxy::{Frontend, Reconciler, SourceVip};

use super::cluster::SmallCluster;
use super::connections::Connections;
use super::difference::{Difference, Snapshot, Subject, address_of};
use super::disturbances::{CONTENTS_BOUND, SAMPLES_BOUND};
use super::events::Programs;
use super::hns::{Faults, Hns};
use super::networks::Networks;
use super::random::Random;
use super::wanted::{self, Facts, Wanted};
use super::witness::Witness;
use crate::rig::{own_host, settings};

/// The number of threads that write to HNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    One,
    /// As the seed says. With several, a world may differ from run to run.
    OfWorld,
}

/// Steps in a row with faults, then as many without.
const PHASE: u64 = 16;

pub(super) struct World {
    pub(super) seed: u64,
    hns: Arc<Hns>,
    client: Client,
    proxy: Reconciler,
    cluster: SmallCluster,
    facts: Facts,
    programs: Programs,
    threads: NonZeroUsize,
    now: Duration,
    types: &'static [&'static str],
    /// Whether the last run that planned may have been interrupted: in the next one, the second job belongs to the frontend whose turn it is.
    interrupted: bool,
    /// Whether HNS and the cluster were equal and known after the last step.
    was_settled: bool,
    connections: Connections,
}

const TYPES: [&[&str]; 5] =
    [&["L2Bridge"], &["Overlay"], &["L2Bridge", "L2Bridge"], &["Overlay", "L2Bridge"], &["L2Bridge", "Overlay"]];
/// Server 2019, 2022 and 2025, the last twice: it modifies in place.
const VERSIONS: [(u32, u32); 5] = [(9, 5), (14, 0), (15, 4), (15, 5), (15, 5)];

impl World {
    pub(super) fn new(seed: u64, threads: Threads) -> Self {
        let mut random = Random::of(seed, u64::MAX);
        let types = TYPES[random.index(TYPES.len())];
        let version = VERSIONS[random.index(VERSIONS.len())];
        let version = Version::new(version.0, version.1);
        let api = if random.one_in(6) { ApiVersion::V1 } else { ApiVersion::V2 };
        let chosen = [1, 1, 1, 1, 2, 8][random.index(6)];
        let threads = if threads == Threads::One { 1 } else { chosen };
        let source_vip = if types.get(1) == Some(&"Overlay") { "10.245.1.250" } else { "10.244.1.250" };
        let settings = proxy::Settings {
            network_names: (0..types.len()).map(|place| format!("cbr{place}")).collect(),
            source_vip: source_vip.parse().ok().map(SourceVip::Address),
            enable_dsr: random.one_in(2),
            forward_health_check_vip: random.one_in(2),
            take_over: random.one_in(6),
            ..settings()
        };
        let emulator = Arc::new(Emulator::from_host(&host(&version.to_string(), types)).unwrap());
        let mut rare = Random::of(seed, u64::MAX - 1);
        emulator.change_quirks(|quirks| {
            quirks.silent_modify = version == Version::new(15, 4) || random.one_in(4);
            if random.one_in(8) {
                quirks.chooses_ids = match random.below(3) {
                    0 => [Kind::Endpoint].into(),
                    1 => [Kind::LoadBalancer].into(),
                    _ => [Kind::Endpoint, Kind::LoadBalancer].into(),
                };
            }
            quirks.remote_blocks_local = random.one_in(4);
            quirks.first_delete_fails = random.one_in(6);
            quirks.leaks_ports = random.one_in(8);
            // One of the node ports.
            quirks.reserved_ports.extend(random.one_in(6).then_some((6, 30000)));
            // The port of most Services.
            quirks.wildcard_listeners.extend(rare.one_in(8).then_some((6, 80)));
            quirks.silent_delete = rare.one_in(8);
        });
        emulator.change_options(|options| options.fails_in_envelope = random.one_in(4));
        let mut flip = || random.one_in(2);
        let faults = Faults {
            refused: flip(),
            unconfirmed: flip(),
            late: flip(),
            restarts: flip(),
            losses: flip(),
            deaths: flip(),
            lies: flip(),
        };
        let programs = Programs { cni: flip(), meddler: flip(), contents: flip(), rival: flip(), networks: flip() };
        let cluster = SmallCluster::random(&mut random);
        let facts = Facts { settings, version, api, networks: Networks::default() };
        let restores = version < Version::new(15, 4);
        let mut witness = Witness::new(cluster.clone(), facts.clone(), threads, restores);
        witness.foreign.clear();
        let hns = Arc::new(Hns::new(emulator, witness, faults));
        {
            let mut state = hns.state();
            state.random = random;
            hns.furnish(&mut state, types.len());
        }
        let connections = Connections::new(&hns.emulator, &facts.settings);
        let client = Client::new(hns.clone(), api);
        let proxy = Reconciler::new(facts.settings.clone(), own_host());
        let threads = NonZeroUsize::new(threads).unwrap();
        let now = Duration::from_secs(1);
        let mut world = Self {
            seed,
            hns,
            client,
            proxy,
            cluster,
            facts,
            programs,
            threads,
            now,
            types,
            interrupted: false,
            was_settled: false,
            connections,
        };
        world.begin();
        world
    }

    /// A new process.
    fn begin(&mut self) {
        self.client = Client::new(self.hns.clone(), self.facts.api);
        self.proxy = Reconciler::new(self.facts.settings.clone(), own_host());
        let mut state = self.hns.state();
        state.dead = false;
        state.witness.log("a new process".to_owned());
        state.witness.begin(&self.hns.emulator);
        drop(state);
        (self.was_settled, self.interrupted) = (false, false);
        self.load();
    }

    /// Gives the process the whole cluster.
    fn load(&mut self) {
        let (services, slices) = self.cluster.build();
        self.proxy.set_zone(self.cluster.zone.map(Into::into));
        self.proxy.reset_services(services);
        self.proxy.reset_slices(slices);
        self.expect();
    }

    /// Gives the process what has changed, one object after the other.
    fn apply(&mut self, before: &SmallCluster) {
        let ((old_services, old_slices), (services, slices)) = (before.build(), self.cluster.build());
        self.proxy.set_zone(self.cluster.zone.map(Into::into));
        for gone in old_slices.iter().filter(|old| !slices.iter().any(|new| new.name == old.name)) {
            self.proxy.delete_slice(&gone.name);
        }
        slices.into_iter().for_each(|slice| self.proxy.apply_slice(slice));
        for gone in old_services.iter().filter(|old| !services.iter().any(|new| new.name == old.name)) {
            self.proxy.delete_service(&gone.name);
        }
        services.into_iter().for_each(|service| self.proxy.apply_service(service));
        self.expect();
    }

    /// Tells the witness what the process knows.
    fn expect(&mut self) {
        self.facts.networks = Networks::known(self.proxy.networks());
        let mut state = self.hns.state();
        state.witness.cluster.clone_from(&self.cluster);
        state.witness.facts.clone_from(&self.facts);
        state.witness.frontends = wanted::frontends(&self.cluster, &self.facts);
    }

    pub(super) fn step(&mut self, number: u64) {
        let mut random = Random::of(self.seed, number);
        let stormy = (number / PHASE).is_multiple_of(2);
        let mut state = self.hns.state();
        state.random = Random::of(self.seed, number + (1 << 32));
        state.armed = stormy;
        state.mistaken = false;
        state.witness.writes = 0;
        state.witness.log(format!("step {number}"));
        let mut quiet = self.was_settled && state.witness.disturbances.is_empty();
        let mut undisturbed = quiet;
        if random.one_in(2) {
            self.hns.happen(&mut state, self.programs, self.types.len());
            undisturbed &= state.witness.disturbances.is_empty();
            quiet &= undisturbed;
        }
        drop(state);
        if random.one_in(2) {
            let before = self.cluster.clone();
            (0..=random.below(3)).for_each(|_| self.cluster.change(&mut random));
            if random.one_in(4) {
                self.load()
            } else {
                self.apply(&before)
            }
            quiet &= self.cluster == before;
        }
        if !stormy || random.one_in(2) {
            self.audit(random.one_in(2));
        }
        self.run();
        let mut state = self.hns.state();
        if quiet && !state.mistaken && state.witness.writes > 0 {
            state.witness.complain("writes although HNS was in sync and nothing has changed".to_owned());
        }
        undisturbed &= !state.mistaken && state.witness.disturbances.is_empty();
        drop(state);
        self.check();
        self.connect(undisturbed);
        self.now += Duration::from_millis(if stormy { random.below(4000) } else { 5000 });
        let dead = self.hns.state().dead;
        if dead || random.one_in(100) {
            self.begin();
        }
    }

    /// Audits HNS, in one part or with a run in the pause, as the control loop does.
    fn audit(&mut self, in_parts: bool) {
        self.hns.begin_audit();
        let mut result = if in_parts { self.proxy.audit_step(&self.client) } else { self.proxy.audit(&self.client) };
        if result.as_ref().is_ok_and(|report| report.paused) {
            self.expect();
            self.drive();
            result = self.proxy.audit_step(&self.client);
        }
        self.hns.end_audit(result.is_ok(), &self.distrusted());
        self.expect();
    }

    /// Runs, perhaps until a change of the cluster or a shutdown interrupts it.
    fn drive(&mut self) {
        let mut state = self.hns.state();
        state.witness.now = self.now;
        state.witness.begin_run(self.interrupted);
        let interruption = [None, None, None, None, Some(Interruption::Change), Some(Interruption::Shutdown)];
        let interruption = if state.armed { interruption[state.random.index(6)] } else { None };
        let questions = AtomicU64::new(state.random.below(8));
        drop(state);
        let interrupt = || {
            self.hns.state().witness.recorded();
            interruption.filter(|_| questions.fetch_sub(1, Ordering::Relaxed).wrapping_sub(1) > 8)
        };
        let had_failed = self.proxy.audit_error().is_some();
        self.proxy.run_until(&self.client, self.now, &Workers::untimed(self.threads), &interrupt);
        // After a failed audit, the run begins with another one. If that fails too, the run plans nothing, and the frontend whose turn it is keeps it.
        let is_failed_audit = had_failed && self.proxy.audit_error().is_some();
        self.interrupted = interruption.is_some() || is_failed_audit && self.interrupted;
        if is_failed_audit {
            self.hns.state().witness.disturbances.audit_failed();
        }
    }

    fn run(&mut self) {
        self.drive();
        self.expect();
        let mut state = self.hns.state();
        if !state.dead {
            state.witness.end_run(&self.hns.emulator);
        }
    }

    /// The kinds whose v1 list the process distrusts.
    fn distrusted(&self) -> Vec<Kind> {
        self.proxy.observed().v1_lists().distrusted().map(|(kind, _)| kind).collect()
    }

    fn is_ready(&self) -> bool {
        self.proxy.unready().is_empty()
    }

    /// Ready implies that HNS equals the cluster, except for what others have done since the last lists.
    fn check(&mut self) {
        let ready = self.is_ready();
        let mut state = self.hns.state();
        if state.dead {
            return;
        }
        let differences = if ready { state.witness.differences(&Snapshot::of(&self.hns.emulator)) } else { Vec::new() };
        self.was_settled = ready && differences.is_empty();
        let unexplained = differences.into_iter().filter(|one| !state.witness.is_explained(one));
        let texts: Vec<String> = unexplained.map(|one| format!("ready, but {}", one.text)).collect();
        texts.into_iter().for_each(|text| state.witness.complain(text));
        let networks = Networks::in_hns(&self.hns.emulator, &self.facts.settings.network_names);
        if ready
            && !self.facts.networks.is_as_in(&networks)
            && !state.witness.disturbances.is_disturbed(Subject::Networks)
        {
            state.witness.complain(format!("ready, but HNS has {networks:?}"));
        }
        let checks = wanted::local_counts(&self.cluster);
        let given =
            self.proxy.health_checks().iter().map(|(name, check)| (name.clone(), check.local.clone())).collect();
        if checks != given {
            state.witness.complain(format!("health checks say {given:?} instead of {checks:?}"));
        }
    }

    /// Checks that new connections reach backends if HNS is in sync. If HNS modifies load balancers in place, it also checks that the step did
    /// not interrupt a connection whose backend stays. Steps with faults of HNS or changes by other programs are excluded from that.
    fn connect(&mut self, undisturbed: bool) {
        let mut state = self.hns.state();
        self.connections.follow();
        let modifies = self.proxy.capabilities().is_some_and(|capabilities| capabilities.modify)
            && !self.hns.emulator.build().quirks.silent_modify;
        let frontends = &state.witness.frontends;
        let snapshot = Snapshot::of(&self.hns.emulator);
        let reachable = |wanted: &Wanted| state.witness.reachable(&snapshot, wanted);
        let mut complaints = Vec::new();
        if undisturbed && modifies && self.was_settled {
            complaints = self.connections.broken(frontends, reachable);
        }
        self.connections.close();
        if self.was_settled && !state.dead {
            complaints.extend(self.connections.open(frontends, &snapshot, reachable));
        }
        complaints.into_iter().for_each(|text| state.witness.complain(text));
    }

    /// What the witness found, with what happened before.
    pub(super) fn complaint(&self) -> Option<String> {
        let state = self.hns.state();
        let first = state.witness.complaints.first()?;
        Some(format!("{}\n{first}", state.witness.history()))
    }

    /// The faults end: HNS is in sync within a cycle of audits.
    pub(super) fn end(&mut self) {
        self.hns.calm();
        if self.hns.state().dead {
            self.begin();
        }
        self.restore_networks();
        self.hns.emulator.change_quirks(|quirks| {
            quirks.reserved_ports.clear();
            quirks.wildcard_listeners.clear();
            quirks.silent_delete = false;
        });
        self.now += Duration::from_secs(600);
        self.hns.emulator.reset_journal();
        let audits = if self.distrusted().is_empty() { 2 * CONTENTS_BOUND } else { SAMPLES_BOUND + CONTENTS_BOUND };
        for _ in 0..audits {
            self.audit(false);
            self.run();
            self.check();
            self.now += Duration::from_secs(5);
        }
        let calls = self.hns.emulator.native_calls();
        let mut state = self.hns.state();
        let mut differences = state.witness.differences(&Snapshot::of(&self.hns.emulator));
        let count = differences.len();
        // A leaked port stays reserved until the host restarts.
        let leaks = self.hns.emulator.build().quirks.leaks_ports;
        let is_leaked = |one: &Difference| {
            leaks && matches!(one.subjects.first(), Some(Subject::Frontend(frontend)) if frontend.address.is_none())
        };
        differences.retain(|one| !is_leaked(one));
        let leaked = differences.len() < count;
        let snapshot = Snapshot::of(&self.hns.emulator);
        // If Services of the same age claim a frontend, one that does not own it may need no load balancer. A leaked port is then no difference,
        // and the owner keeps the endpoints for its next attempt.
        let hides_leak = |(frontend, wanted): &(&Frontend, &Vec<Wanted>)| {
            leaks && frontend.address.is_none() && wanted.len() > 1 && snapshot.on(**frontend).next().is_none()
        };
        let hidden: Vec<_> = state.witness.frontends.iter().filter(hides_leak).collect();
        let kept: BTreeSet<IpAddr> = hidden
            .iter()
            .flat_map(|(_, wanted)| *wanted)
            .flat_map(|one| &one.backends)
            .filter_map(address_of)
            .collect();
        differences
            .retain(|one| !matches!(one.subjects.first(), Some(Subject::Address(address)) if kept.contains(address)));
        let leaked = leaked || !self.is_ready() && !hidden.is_empty();
        let mut complaints: Vec<String> =
            differences.into_iter().map(|one| format!("at the end: {}", one.text)).collect();
        complaints.extend((self.is_ready() == leaked).then(|| format!("ready at the end: {}", !leaked)));
        complaints.extend((calls > 2000 && !leaked).then(|| format!("{calls} calls to put things right")));
        complaints.into_iter().for_each(|one| state.witness.complain(one));
        drop(state);
        self.restart_is_quiet();
    }

    fn restore_networks(&mut self) {
        let mut state = self.hns.state();
        for (kind, document) in std::mem::take(&mut state.networks) {
            let id = super::hns::id_of(&document);
            self.hns.add(&mut state, kind, id, document);
        }
    }

    /// The next process can trust the ids.
    fn restart_is_quiet(&mut self) {
        // Of equal endpoints, which only exist where HNS chooses ids, the next process may take another.
        // Of Services of one age, the holder keeps a frontend; the next process does not know it.
        let is_tied = self.hns.state().witness.frontends.values().any(|wanted| wanted.len() > 1);
        let quirks = self.hns.emulator.build().quirks;
        if !quirks.chooses_ids.is_empty() || quirks.leaks_ports || is_tied {
            return;
        }
        self.begin();
        self.hns.state().witness.writes = 0;
        self.audit(false);
        self.run();
        let mut state = self.hns.state();
        if state.witness.writes > 0 {
            state.witness.complain("a restart writes".to_owned());
        }
    }

    pub(super) fn describe(&self) -> String {
        let networks: usize = self.hns.emulator.documents(Kind::Network).len();
        format!(
            "seed {}: {:?} ({networks} now), HNS {} {:?}, {} threads, {:?}, {:?}",
            self.seed,
            self.types,
            self.facts.version,
            self.facts.api,
            self.threads,
            self.programs,
            self.hns.emulator.build().quirks
        )
    }
}
