//! A node with the core of hnsproxy and an emulated HNS, on the virtual clock of the emulator: what a timeline changes in HNS.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hcn::{ApiVersion, Client, Guid, Kind};
use hcn_emulator::{Change, Emulator, testing};
use proxy::model::Protocol;
use proxy::testing::{backend, service, slice};
use proxy::{Host, Next, Reconciler, Settings};
use vswitch_lab::timeline::{self, Action, Event, NAMESPACE, NODE, NODE_ADDRESS, Service, Timeline};

/// More than all changes of a timeline.
const CAPACITY: usize = 1 << 20;
/// The default of hnsproxy.
const AUDIT_INTERVAL: Duration = Duration::from_secs(5);
/// When a timeline begins. Its first event is just after an audit, so that the time until the next one is as long as possible.
const BEGIN: Duration = Duration::from_millis(12_100);
/// The time from a notification to the audit that it causes, as in hnsproxy.
const NOTIFICATION_SETTLE: Duration = Duration::from_millis(200);
/// The shortest time between two runs. Without it, the virtual clock would stop at a run that is due at once.
const STEP: Duration = Duration::from_micros(100);

/// The changes of HNS from the beginning of a timeline until its end.
pub(crate) fn play(timeline: &Timeline) -> Vec<Change> {
    let mut node = Node::new(timeline);
    node.start();
    node.run_until(BEGIN);
    let feed = node.emulator.follow(CAPACITY);
    for Event { at, action } in &timeline.events {
        node.run_until(BEGIN + *at);
        node.act(action);
    }
    node.run_until(BEGIN + timeline.end);
    if timeline.events.iter().any(|event| matches!(event.action, Action::FailNetworkList)) {
        assert!(timeline::has_failed_network_list(&node.emulator), "no list of networks has failed");
    }
    std::iter::from_fn(|| feed.try_recv().expect("a feed that is large enough")).collect()
}

/// `proxy` is `None` while hnsproxy is not running.
struct Node {
    emulator: Arc<Emulator>,
    client: Client,
    proxy: Option<Reconciler>,
    services: Vec<Service>,
    pods: BTreeMap<IpAddr, Guid>,
    audit_interval: Duration,
    next_audit: Duration,
    /// When hnsproxy works again. Events that it does not see do not wake it.
    due: Duration,
}

impl Node {
    fn new(timeline: &Timeline) -> Self {
        let host = testing::host(timeline.hns_version, &["L2Bridge"]);
        let emulator = Arc::new(Emulator::from_host(&host).expect("a valid host").on_virtual_clock());
        timeline::delay_calls(&emulator);
        let pod = |address| (address, emulator.add_local_endpoint(testing::NETWORKS[0], "pod", &[address]));
        let pods = timeline.local_pods().map(pod).collect();
        let client = Client::new(emulator.clone(), ApiVersion::V2);
        // One of twelve audits lists the networks.
        let lists_networks = timeline.events.iter().any(|event| matches!(event.action, Action::FailNetworkList));
        Self {
            emulator,
            client,
            proxy: None,
            services: timeline.services.clone(),
            pods,
            audit_interval: if lists_networks { AUDIT_INTERVAL / 10 } else { AUDIT_INTERVAL },
            next_audit: Duration::ZERO,
            due: Duration::ZERO,
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Change(service) => self.change(service),
            Action::StopProxy => self.proxy = None,
            Action::StartProxy => self.start(),
            Action::StopHns(lost) => {
                self.emulator.stop(lost);
                self.proxy.iter_mut().for_each(Reconciler::record_disconnect);
                self.next_audit = self.next_audit.min(self.emulator.age() + NOTIFICATION_SETTLE);
                self.due = self.due.min(self.next_audit);
            }
            Action::StartHns => self.emulator.start(),
            // Without notifications: a loss may have none.
            Action::DeleteLoadBalancers => timeline::delete_load_balancers(&self.emulator),
            Action::FailNetworkList => timeline::fail_network_list(&self.emulator),
            Action::RemovePod(address) => {
                let pod = self.pods.remove(address).expect("a pod of the timeline");
                self.emulator.remove(Kind::Endpoint, pod);
            }
        }
    }

    /// Starts hnsproxy, as a new process.
    fn start(&mut self) {
        let settings = Settings {
            node_name: NODE.into(),
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
            cleanup: false,
        };
        let mut proxy = Reconciler::new(settings, Host { node_ips: vec![NODE_ADDRESS], mac: None });
        proxy.reset_services(self.services.iter().map(service_of).collect());
        proxy.reset_slices(self.services.iter().map(slice_of).collect());
        self.proxy = Some(proxy);
        self.next_audit = self.emulator.age();
        self.due = self.next_audit;
    }

    fn change(&mut self, service: &Service) {
        let known = self.services.iter_mut().find(|known| known.name == service.name).expect("a known Service");
        let before = std::mem::replace(known, service.clone());
        let Some(proxy) = &mut self.proxy else { return };
        if service_of(&before) != service_of(service) {
            proxy.apply_service(service_of(service));
        }
        if slice_of(&before) != slice_of(service) {
            proxy.apply_slice(slice_of(service));
        }
        self.due = self.emulator.age();
    }

    /// Runs the control loop until a time. The last step may end later, since calls take time.
    fn run_until(&mut self, time: Duration) {
        while self.emulator.age() < time {
            if self.emulator.age() >= self.due {
                self.due = self.step();
            }
            self.emulator.advance(self.due.min(time).saturating_sub(self.emulator.age()));
        }
    }

    /// Audits if an audit is due, and runs. Returns when there is more to do.
    fn step(&mut self) -> Duration {
        let now = || self.emulator.age();
        let Some(proxy) = &mut self.proxy else { return Duration::MAX };
        if now() >= self.next_audit {
            // What failed is retried at the next interval.
            let _ = proxy.audit(&self.client);
            self.next_audit = now() + self.audit_interval;
        }
        match proxy.run(&self.client, now()).next {
            Next::Idle => self.next_audit,
            Next::At(due) => due.max(now() + STEP).min(self.next_audit),
        }
    }
}

fn service_of(of: &Service) -> proxy::model::Service {
    let Service { name, cluster_ip, external_ip, has_client_ip_affinity, ports, .. } = of;
    let mut builder = service(&format!("{NAMESPACE}/{name}")).cluster_ip(&cluster_ip.to_string());
    for port in ports {
        builder = builder.named_port(port.name, Protocol::TCP, port.number);
    }
    if let Some(external_ip) = external_ip {
        builder = builder.external_ip(&external_ip.to_string());
    }
    builder.with(|service| service.client_ip_affinity = *has_client_ip_affinity).build()
}

fn slice_of(of: &Service) -> proxy::model::Slice {
    let Service { name, ports, ready, terminating, .. } = of;
    let mut builder = slice(&format!("{NAMESPACE}/{name}-1"), &format!("{NAMESPACE}/{name}"));
    for port in ports {
        builder = builder.named_port(port.name, Protocol::TCP, port.target);
    }
    let on_node = |address: &IpAddr| backend(&address.to_string()).on(timeline::node_of(*address));
    for address in ready {
        builder = builder.backend(on_node(address));
    }
    for address in terminating {
        builder = builder.backend(on_node(address).terminating());
    }
    builder.build()
}
