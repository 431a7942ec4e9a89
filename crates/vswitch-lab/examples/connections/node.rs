//! A node with the core of hnsproxy and an emulated HNS, on the virtual clock of the emulator.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hcn::{ApiVersion, Client, Guid, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::{Change, ChangeFeed, Emulator, testing};
use proxy::model::{Service, Slice};
use proxy::{Host, Next, Reconciler, Settings};

/// More than all changes of a history.
const CAPACITY: usize = 1 << 20;
/// Ten times as often as by default, so that a history of some seconds has all kinds of audits.
const AUDIT_INTERVAL: Duration = Duration::from_millis(500);
/// The times of calls on Windows: of a creation, a deletion and any other call.
const CREATE: Duration = Duration::from_millis(9);
const DELETE: Duration = Duration::from_millis(4);
const OTHER: Duration = Duration::from_micros(100);

pub(crate) const NODE_ADDRESS: &str = "192.168.77.1";

/// hnsproxy is not running between [`Node::stop`] and [`Node::start`].
pub(crate) struct Node {
    pub(crate) emulator: Arc<Emulator>,
    feed: ChangeFeed,
    client: Client,
    proxy: Option<Reconciler>,
    services: Vec<Service>,
    slices: Vec<Slice>,
    next_audit: Duration,
}

impl Node {
    /// A node with an HNS of a version, and an L2Bridge network.
    pub(crate) fn new(version: &str) -> Self {
        let host = testing::host(version, &["L2Bridge"]);
        let emulator = Arc::new(Emulator::from_host(&host).expect("a valid host").on_virtual_clock());
        emulator.inject(Fault::of_each(Which::Any, Effect::Delay(OTHER)));
        for (function, time) in [
            ("HcnCreateLoadBalancer", CREATE),
            ("HcnCreateEndpoint", CREATE),
            ("HcnDeleteLoadBalancer", DELETE),
            ("HcnDeleteEndpoint", DELETE),
        ] {
            emulator.delay(function, time - OTHER);
        }
        let feed = emulator.follow(CAPACITY);
        let client = Client::new(emulator.clone(), ApiVersion::V2);
        let next_audit = Duration::ZERO;
        Self { emulator, feed, client, proxy: None, services: Vec::new(), slices: Vec::new(), next_audit }
    }

    pub(crate) fn pod(&self, address: IpAddr) -> Guid {
        self.emulator.add_local_endpoint(testing::NETWORKS[0], "pod", &[address])
    }

    /// Removes the pod with an address, as a CNI plugin does.
    pub(crate) fn remove_pod(&self, pod: Guid) {
        self.emulator.remove(Kind::Endpoint, pod);
    }

    /// Starts hnsproxy, as a new process.
    pub(crate) fn start(&mut self) {
        let settings = Settings {
            node_name: "here".into(),
            network_names: vec!["cbr0".into()],
            source_vip: None,
            enable_dsr: true,
            root_endpoint_name: "cbr0_ep".into(),
            forward_health_check_vip: false,
            healthz_port: None,
            metrics_port: None,
            external_ips: true,
            take_over: false,
            node_ip_as_source_vip: false,
        };
        let host = Host { node_ips: vec![NODE_ADDRESS.parse().expect("an address")], mac: None };
        let mut proxy = Reconciler::new(settings, host);
        proxy.reset_services(self.services.clone());
        proxy.reset_slices(self.slices.clone());
        self.proxy = Some(proxy);
        self.next_audit = self.emulator.age();
    }

    pub(crate) fn stop(&mut self) {
        self.proxy = None;
    }

    pub(crate) fn apply_service(&mut self, service: Service) {
        self.services.retain(|other| other.name != service.name);
        self.services.push(service.clone());
        if let Some(proxy) = &mut self.proxy {
            proxy.apply_service(service);
        }
    }

    pub(crate) fn apply_slice(&mut self, slice: Slice) {
        self.slices.retain(|other| other.name != slice.name);
        self.slices.push(slice.clone());
        if let Some(proxy) = &mut self.proxy {
            proxy.apply_slice(slice);
        }
    }

    /// Stops HNS, and starts it again after a time in which hnsproxy continues. Lost objects are of these kinds.
    pub(crate) fn restart_hns(&mut self, lost: &[Kind], after: Duration) {
        self.emulator.stop(lost);
        if let Some(proxy) = &mut self.proxy {
            proxy.record_disconnect();
        }
        let up = self.emulator.age() + after;
        self.run_until(up);
        self.emulator.start();
    }

    /// Lets hnsproxy work until a time, which it may exceed by a call.
    pub(crate) fn run_until(&mut self, time: Duration) {
        while self.emulator.age() < time {
            let next = self.step().min(time);
            self.emulator.advance(next.saturating_sub(self.emulator.age()));
        }
    }

    /// Audits if an audit is due, and runs. Returns when there is more to do.
    fn step(&mut self) -> Duration {
        let now = || self.emulator.age();
        let Some(proxy) = &mut self.proxy else { return Duration::MAX };
        if now() >= self.next_audit {
            // What failed is retried at the next interval.
            let _ = proxy.audit(&self.client);
            self.next_audit = now() + AUDIT_INTERVAL;
        }
        match proxy.run(&self.client, now()).next {
            Next::Idle => self.next_audit,
            // Later than now, so that time passes.
            Next::At(due) => due.max(now() + OTHER).min(self.next_audit),
        }
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        std::iter::from_fn(|| self.feed.try_recv().expect("a feed that is large enough")).collect()
    }
}
