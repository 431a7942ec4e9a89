//! The workload of `cargo xtask instructions`, in one process and without a clock: a first start, a start with all objects programmed, the
//! audits of a cycle, and changes of single slices. Each phase calls the same functions as the control loop, and prints its allocations as
//! one line of JSON.
//!
//! `instructions SERVICES BACKENDS`
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a program: anything unexpected should stop it")]

mod allocations;
mod cluster;
mod collect;
mod hns;

use std::sync::Arc;
use std::time::Duration;

use hcn::{ApiVersion, Client};
use hcn_emulator::Emulator;
use hcn_emulator::testing::host;
use proxy::{Host, Next, Reconciler, Settings};
use serde_json::json;

use allocations::Allocations;
use collect::collect_on;
use hns::Uncounted;

const AUDITS: usize = 12;
const CHANGES: u32 = 1000;

struct Node {
    reconciler: Reconciler,
    client: Client,
    now: Duration,
}

impl Node {
    fn new(hns: &Arc<Uncounted>) -> Self {
        let settings = Settings {
            node_name: cluster::NODE.into(),
            network_names: vec!["cbr0".into()],
            source_vip: None,
            enable_dsr: true,
            root_endpoint_name: "cbr0_ep".into(),
            forward_health_check_vip: false,
            healthz_port: Some(10256),
            metrics_port: Some(10249),
            external_ips: true,
            take_over: false,
            node_ip_as_source_vip: false,
            cleanup: false,
        };
        let own = Host { node_ips: vec![[192, 168, 77, 1].into()], mac: Some("16:3f:c8:c9:10:9d".into()) };
        Self {
            reconciler: Reconciler::new(settings, own).measured_since(cluster::STARTED),
            client: Client::new(hns.clone(), ApiVersion::V2),
            now: Duration::from_secs(1),
        }
    }

    fn start(&mut self, services: u32, backends: u32) {
        self.reconciler.reset_services((0..services).map(cluster::service).collect());
        self.reconciler.reset_slices((0..services).map(|number| cluster::slice(number, backends)).collect());
        self.audit();
        self.run();
        assert!(self.reconciler.is_in_sync(), "{:?}", self.reconciler.unready());
    }

    fn audit(&mut self) {
        while self.reconciler.audit_step(&self.client).expect("the emulated HNS answers").paused {
            self.reconciler.run(&self.client, self.now);
        }
        std::hint::black_box(self.reconciler.foreign_load_balancers());
    }

    /// Runs until nothing is due, with what the program asks after each run, and what it asks if the status is due.
    fn run(&mut self) {
        loop {
            let report = self.reconciler.run(&self.client, self.now);
            std::hint::black_box((self.reconciler.take_triggers(), self.reconciler.is_in_sync()));
            if report.is_status_due {
                self.report();
            }
            match report.next {
                Next::At(due) if due <= self.now => {}
                Next::At(_) | Next::Idle => return,
            }
        }
    }

    fn report(&mut self) {
        let reconciler = &mut self.reconciler;
        let changed = reconciler.take_changed_services();
        let summaries: Vec<_> = changed.iter().map(|service| reconciler.summary(service)).collect();
        let progress = reconciler.progress();
        std::hint::black_box((
            summaries,
            reconciler.take_backend_changes(),
            reconciler.unsettled(),
            reconciler.conditions(),
            reconciler.host_conditions(),
            reconciler.unready_of(&progress),
        ));
    }

    fn change(&mut self, number: u32, services: u32, backends: u32) {
        self.now += Duration::from_secs(2);
        self.reconciler.apply_slice(cluster::changed_slice(number, services, backends));
        self.run();
    }
}

/// Runs a phase. Prints the number of allocations, and the number of bytes that the proxy uses at the end.
fn measure(name: &str, hns: &Uncounted, without_proxy: Allocations, phase: &mut dyn FnMut()) {
    let before = hns.other_allocations();
    collect_on(phase);
    let after = hns.other_allocations();
    let (allocations, bytes) = ((after - before).count, (after - without_proxy).bytes);
    println!("{}", json!({"phase": name, "allocations": allocations, "bytes": bytes}));
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>().expect("a number"));
    let services = arguments.next().expect("the number of Services");
    let backends = arguments.next().expect("the number of backends of each Service");
    let emulator = Emulator::from_host(&host("15.5", &["L2Bridge"])).expect("a valid host").on_virtual_clock();
    let hns = Arc::new(Uncounted::new(emulator));
    let without_proxy = hns.other_allocations();

    let mut node = Node::new(&hns);
    measure("first start", &hns, without_proxy, &mut || node.start(services, backends));
    drop(node);
    let mut node = Node::new(&hns);
    measure("start", &hns, without_proxy, &mut || node.start(services, backends));
    measure("audits", &hns, without_proxy, &mut || {
        for _ in 0..AUDITS {
            node.audit();
            node.run();
        }
    });
    measure("changes", &hns, without_proxy, &mut || {
        (0..CHANGES).for_each(|number| node.change(number, services, backends));
    });
}
