//! A scenario: a cluster as shortened Kubernetes YAML, programmed on an emulated HNS, with the outcome as text.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cluster_source::kubernetes::{Converted, node, object, service, slice};
use hcn::schema::{DistributionType, LoadBalancerFlags, PortMappingFlags, Protocol};
use hcn::{ApiVersion, Client, Guid, Hresult, Kind};
use hcn_emulator::Emulator;
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::testing::{self, NETWORKS};
use hnsproxy::view;
use proxy::testing::waits_only_for_networks;
use proxy::{Host, Next, Reconciler, Settings, SourceVip};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The first two bytes of the subnets of the networks `cbr0` and `cbr1`.
const PREFIXES: [&str; 2] = ["10.244", "10.245"];

/// The file of a scenario: the host, then the cluster and its changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The case, in one or two sentences.
    pub(crate) about: String,
    /// What kube-proxy on Windows does, if it differs.
    #[expect(dead_code, reason = "docs/differences.md lists it, which another test checks")]
    differs: Option<String>,
    /// The type of the network.
    #[serde(default = "l2bridge")]
    network: String,
    /// The type of the second network of the settings.
    second: Option<String>,
    /// The version of HNS.
    #[serde(default = "version")]
    hns: String,
    #[serde(default)]
    v1: bool,
    /// `--enable-dsr=true`.
    #[serde(default)]
    dsr: bool,
    /// `--forward-healthcheck-vip=true`.
    #[serde(default)]
    health: bool,
    /// `--node-ip-as-source-vip`.
    #[serde(default, rename = "nodeIpAsSourceVip")]
    node_ip_as_source_vip: bool,
    #[serde(flatten)]
    first: Step,
    /// The changes after that.
    #[serde(default)]
    then: Vec<Step>,
}

fn l2bridge() -> String {
    "L2Bridge".into()
}

fn version() -> String {
    "15.5".into()
}

/// A change. The node is `here`, with addresses 192.168.77.1 and fd00:77::1.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Step {
    /// A description, which is part of the outcome.
    what: String,
    /// Labels of the node.
    node: Option<Map<String, Value>>,
    /// Addresses of pods for which the CNI creates an endpoint in the network of their subnet. Addresses of one pod are separated by spaces.
    pods: Vec<String>,
    /// Services: `name`, `labels`, `annotations`, `created`, `ingress`, and the members of the specification.
    services: Vec<Map<String, Value>>,
    /// Slices: `name`, `service`, `labels`, and members of slices. A port may be a number; a backend has `ip`, `node`, `ready`,
    /// `serving`, `terminating`, `zones`, `nodes`.
    slices: Vec<Map<String, Value>>,
    /// Services and slices that are deleted.
    gone: Vec<String>,
    /// Native functions that fail in this step.
    failing: Vec<String>,
    /// Networks that are deleted with their objects. Those of the first step are missing from the start.
    networks_gone: Vec<String>,
    /// Networks that are created again, with another id.
    networks_back: Vec<String>,
    /// Whether the root endpoint of the host is created, with address 10.244.1.2.
    root: bool,
    /// Whether the proxy restarts.
    restart: bool,
}

struct Scenario {
    emulator: Arc<Emulator>,
    client: Client,
    settings: Settings,
    host: Host,
    reconciler: Reconciler,
    now: Duration,
    zone: Option<smol_str::SmolStr>,
    /// The names, current ids and documents of the networks that exist or existed.
    networks: Vec<(String, Guid, Value)>,
    text: String,
}

fn take(map: &mut Map<String, Value>, member: &str) -> Option<Value> {
    map.remove(member)
}

fn name_of(map: &mut Map<String, Value>, default: &str) -> String {
    take(map, "name").map_or(default.into(), |name| name.as_str().unwrap().to_owned())
}

/// The Service as an API object.
fn service_object(mut short: Map<String, Value>) -> object::Service {
    let metadata = json!({
        "namespace": "ns", "name": name_of(&mut short, "web"),
        "labels": take(&mut short, "labels"), "annotations": take(&mut short, "annotations"),
        "creationTimestamp": take(&mut short, "created"),
    });
    let ingress = take(&mut short, "ingress");
    serde_json::from_value(
        json!({"metadata": metadata, "spec": short, "status": {"loadBalancer": {"ingress": ingress}}}),
    )
    .unwrap()
}

/// The slice as an API object.
fn slice_object(mut short: Map<String, Value>) -> object::EndpointSlice {
    let service = take(&mut short, "service").unwrap_or("web".into());
    let mut labels = take(&mut short, "labels").unwrap_or(json!({}));
    labels["kubernetes.io/service-name"] = service.clone();
    let name = name_of(&mut short, &format!("{}-1", service.as_str().unwrap()));
    let port = |port: Value| if port.is_number() { json!({"name": "", "port": port}) } else { port };
    let named = |names: Option<Value>| -> Vec<Value> {
        names.iter().flat_map(|names| names.as_array().unwrap()).map(|name| json!({"name": name})).collect()
    };
    let list = |value: Option<Value>| value.map_or(Vec::new(), |list| list.as_array().unwrap().clone());
    let backend = |backend: Value| {
        let Value::Object(mut short) = backend else { panic!("a backend is a map: {backend}") };
        json!({
            "addresses": take(&mut short, "ip").map(|ip| vec![ip]).unwrap_or_default(),
            "nodeName": take(&mut short, "node"),
            "hints": {"forZones": named(take(&mut short, "zones")), "forNodes": named(take(&mut short, "nodes"))},
            "conditions": short,
        })
    };
    let ports: Vec<Value> = list(take(&mut short, "ports")).into_iter().map(port).collect();
    let endpoints: Vec<Value> = list(take(&mut short, "endpoints")).into_iter().map(backend).collect();
    let family = take(&mut short, "addressType").unwrap_or("IPv4".into());
    assert!(short.is_empty(), "members of a slice: {short:?}");
    serde_json::from_value(json!({
        "metadata": {"namespace": "ns", "name": name, "labels": labels},
        "addressType": family, "ports": ports, "endpoints": endpoints,
    }))
    .unwrap()
}

impl Scenario {
    fn new(input: &Input) -> Self {
        let types: Vec<&str> =
            [Some(&input.network), input.second.as_ref()].into_iter().flatten().map(|t| &**t).collect();
        let emulated = testing::host(&input.hns, &types);
        let emulator = Arc::new(Emulator::from_host(&emulated).unwrap());
        let api_version = if input.v1 { ApiVersion::V1 } else { ApiVersion::V2 };
        let client = Client::new(emulator.clone(), api_version);
        let settings = Settings {
            node_name: "here".into(),
            network_names: (0..types.len()).map(|index| format!("cbr{index}")).collect(),
            source_vip: format!("{}.1.250", PREFIXES[usize::from(types.get(1) == Some(&"Overlay"))])
                .parse()
                .ok()
                .map(SourceVip::Address),
            enable_dsr: input.dsr,
            root_endpoint_name: "cbr0_ep".into(),
            forward_health_check_vip: input.health,
            healthz_port: Some(10256),
            metrics_port: Some(10249),
            external_ips: true,
            take_over: false,
            node_ip_as_source_vip: input.node_ip_as_source_vip,
            cleanup: false,
        };
        let host = Host { node_ips: emulated.node_ips, mac: emulated.host_mac };
        let mut reconciler = Reconciler::new(settings.clone(), host.clone());
        reconciler.reset_services(vec![]);
        reconciler.reset_slices(vec![]);
        let (now, zone) = (Duration::from_secs(1), None);
        let named = |(name, id): (&String, &Guid)| (name.clone(), *id, emulator.document(Kind::Network, *id).unwrap());
        let networks = settings.network_names.iter().zip(&NETWORKS).map(named).collect();
        Self { emulator, client, settings, host, reconciler, now, zone, networks, text: String::new() }
    }

    fn line(&mut self, indent: usize, text: &str) {
        writeln!(self.text, "{:indent$}{text}", "").unwrap();
    }

    fn converted<T>(
        &mut self,
        what: &str,
        converted: Result<Converted<T>, cluster_source::kubernetes::ConvertError>,
    ) -> Option<T> {
        match converted {
            Err(error) => {
                self.line(0, &format!("left out: {what}: {error}"));
                None
            }
            Ok(Converted { outcome, problems }) => {
                problems.iter().for_each(|problem| self.line(0, &format!("left out: {problem}")));
                outcome.map_err(|skip| self.line(0, &format!("skipped: {what}, {skip}"))).ok()
            }
        }
    }

    fn restart(&mut self) {
        let cluster = self.reconciler.cluster();
        let services = cluster.iter().filter_map(|(_, entry)| entry.service.clone()).collect();
        let slices = cluster.iter().flat_map(|(_, entry)| entry.slices.values().cloned()).collect();
        self.reconciler = Reconciler::new(self.settings.clone(), self.host.clone());
        self.reconciler.set_zone(self.zone.clone());
        self.reconciler.reset_services(services);
        self.reconciler.reset_slices(slices);
    }

    fn change(&mut self, step: Step) {
        if let Some(labels) = step.node {
            let object = serde_json::from_value(json!({"metadata": {"name": "here", "labels": labels}})).unwrap();
            self.zone = node::convert(&object).zone;
            self.reconciler.set_zone(self.zone.clone());
        }
        for (_, id, _) in self.networks.iter().filter(|(name, ..)| step.networks_gone.contains(name)) {
            self.emulator.remove(Kind::Network, *id);
        }
        for (_, id, document) in self.networks.iter_mut().filter(|(name, ..)| step.networks_back.contains(name)) {
            *id = Guid::from_u128(id.as_u128() + 0x100);
            document["ID"] = json!(*id);
            self.emulator.add(Kind::Network, document.clone());
        }
        if step.root {
            let address = "10.244.1.2".parse().unwrap();
            self.emulator.add_local_endpoint(self.networks[0].1, "cbr0_ep", &[address]);
        }
        for pod in &step.pods {
            let addresses: Vec<IpAddr> = pod.split(' ').map(|ip| ip.parse().unwrap()).collect();
            let second = self.networks.len() > 1 && pod.starts_with(PREFIXES[1]);
            self.emulator.add_local_endpoint(self.networks[usize::from(second)].1, "pod", &addresses);
        }
        for short in step.services {
            let object = service_object(short);
            let what = format!("Service {}", object.metadata.full_name());
            let converted = self.converted(&what, service::convert(&object));
            match converted {
                Some(service) => self.reconciler.apply_service(service),
                // The selectors of a watch hide such a Service, which looks like a deletion.
                None => self.reconciler.delete_service(&proxy::model::ServiceName::new("ns", object.metadata.name)),
            }
        }
        for short in step.slices {
            let object = slice_object(short);
            let what = format!("EndpointSlice {}", object.metadata.full_name());
            if let Some(slice) = self.converted(&what, slice::convert(&object)) {
                self.reconciler.apply_slice(slice);
            }
        }
        for name in &step.gone {
            self.reconciler.delete_service(&proxy::model::ServiceName::new("ns", name));
            let (namespace, name) = ("ns".into(), name.into());
            self.reconciler.delete_slice(&proxy::model::SliceName { namespace, name });
        }
        for function in step.failing {
            let effect = Effect::Fail(Hresult::HCN_E_PORT_NOT_FOUND);
            self.emulator.inject(Fault { which: Which::Function(function), from: 1, every: 1, effect });
        }
        if step.restart {
            self.restart();
        }
    }

    fn step(&mut self, step: Step) {
        let failing = !step.failing.is_empty();
        // Longer than the delay between two replacements of a load balancer.
        self.now += Duration::from_secs(5);
        self.change(step);
        self.reconciler.audit(&self.client).unwrap();
        let plan = self.reconciler.plan(self.now);
        self.line(0, "plan:");
        for step in &plan.steps {
            self.line(2, &format!("{}: {}", step.action, step.reason));
        }
        if plan.steps.is_empty() {
            self.line(2, "nothing to do");
        }
        self.settle(failing);
        let conditions: Vec<String> = self
            .reconciler
            .conditions()
            .iter()
            .map(|one| format!("{} {}: {}", one.service, one.condition.reason(), one.condition))
            .collect();
        if !conditions.is_empty() {
            self.line(0, "conditions:");
            conditions.iter().for_each(|condition| self.line(2, condition));
        }
        self.line(0, "HNS:");
        let objects = self.objects();
        objects.iter().for_each(|line| self.line(2, line));
        if objects.is_empty() {
            self.line(2, "nothing");
        }
        self.emulator.clear_faults();
    }

    /// Runs until HNS is in sync, or waits for the CNI. Calls may fail only if the step says so.
    fn settle(&mut self, failing: bool) {
        for _ in 0..20 {
            let report = self.reconciler.run(&self.client, self.now);
            for (outcome, failure) in report.failures() {
                // A step that depends on a failed one fails without a call, which is not an error of HNS.
                let refused = matches!(failure, proxy::apply::Failure::Hns(_));
                assert!(failing || !refused, "{}: {failure}", outcome.step);
            }
            if report.outcomes.is_empty() && (waits_only_for_networks(&self.reconciler) || failing) {
                return;
            }
            match report.next {
                Next::At(due) if !failing => self.now = self.now.max(due),
                _ => self.now += Duration::from_millis(1),
            }
        }
        assert!(failing, "not in sync: {:?}", self.reconciler.plan(self.now));
    }

    fn is_in_second(&self, endpoint: &view::EndpointState) -> bool {
        let same = |document: &&Value| {
            let remote = document["Flags"].as_u64().unwrap_or(0) & 1 == 1;
            remote == endpoint.remote
                && document["IpConfigurations"][0]["IpAddress"].as_str() == Some(&endpoint.addresses[0])
        };
        let documents = self.emulator.documents(Kind::Endpoint);
        let network = documents.iter().find(same).and_then(|document| document["HostComputeNetwork"].as_str());
        self.networks.get(1).is_some_and(|(_, id, _)| network.and_then(|id| id.parse().ok()) == Some(*id))
    }

    /// The endpoints and load balancers in HNS, one line each.
    fn objects(&self) -> Vec<String> {
        let snapshot = view::read(&*self.emulator, &self.client, String::new()).unwrap();
        let mut lines = Vec::new();
        for endpoint in &snapshot.endpoints {
            let kind = if endpoint.remote { "remote" } else { "local" };
            let mut line = format!("{kind} endpoint {}", endpoint.addresses.join(" "));
            for policy in &endpoint.policies {
                let policy = serde_json::to_value(policy).unwrap();
                write!(line, " on {}", policy["Settings"]["ProviderAddress"].as_str().unwrap()).unwrap();
            }
            if self.is_in_second(endpoint) {
                line += " in cbr1";
            }
            lines.push(line);
        }
        for lb in &snapshot.load_balancers {
            let vip = lb.vips.first().map_or("node", String::as_str);
            let protocol = Protocol(lb.protocol);
            let mut line = format!(
                "{vip} {}/{protocol} -> {} port {}",
                lb.external_port,
                lb.backends.join(", "),
                lb.internal_port
            );
            let (flags, mapping) = (LoadBalancerFlags(lb.flags), PortMappingFlags(lb.port_mapping_flags));
            if lb.flags != 0 {
                write!(line, ", {flags:?}").unwrap();
            }
            if lb.port_mapping_flags != 0 {
                write!(line, ", {mapping:?}").unwrap();
            }
            if DistributionType(lb.distribution_type) == DistributionType::SOURCE_IP {
                line += ", by source";
            }
            if !lb.source_vip.is_empty() {
                write!(line, ", from {}", lb.source_vip).unwrap();
            }
            lines.push(line);
        }
        lines
    }
}

/// The outcome of a scenario: plans, and the state of HNS, as text.
pub(crate) fn outcome(text: &str) -> String {
    let parse = || serde_saphyr::from_str::<Input>(text).unwrap_or_else(|error| panic!("{error}"));
    let (input, mut again) = (parse(), parse());
    let mut scenario = Scenario::new(&input);
    scenario.step(std::mem::take(&mut again.first));
    for step in again.then {
        let what = step.what.clone();
        scenario.line(0, &format!("\n# {what}"));
        scenario.step(step);
    }
    scenario.text
}
