//! A proxy, its client and an emulated HNS, with the smallest network of each type, or several of them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hcn::{ApiVersion, Client, Guid, Hresult, Kind};
use hcn_emulator::Emulator;
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::testing::{NETWORKS, host};
use proptest::prelude::*;
use proxy::model::{Service, Slice};
use proxy::testing::waits_only_for_networks;
use proxy::{Host, Next, Reconciler, Report, Settings, SourceVip};
use serde_json::Value;

pub(crate) const NETWORK: Guid = NETWORKS[0];

/// The second network, `cbr1`, where there are two. Its subnets begin with 10.245 instead of 10.244.
pub(crate) const SECOND: Guid = NETWORKS[1];

pub(crate) struct Rig {
    pub(crate) settings: Settings,
    pub(crate) emulator: Arc<Emulator>,
    pub(crate) client: Client,
    pub(crate) proxy: Reconciler,
    pub(crate) now: Duration,
}

pub(crate) fn settings() -> Settings {
    Settings {
        node_name: "here".into(),
        network_names: vec!["cbr0".into()],
        source_vip: Some(SourceVip::Address([10, 244, 1, 250].into())),
        enable_dsr: true,
        root_endpoint_name: "cbr0_ep".into(),
        forward_health_check_vip: false,
        healthz_port: Some(10256),
        metrics_port: Some(10249),
        external_ips: true,
        take_over: false,
        node_ip_as_source_vip: false,
        cleanup: false,
    }
}

/// As many cases as `PROPTEST_CASES` says, or this number.
pub(crate) fn cases(count: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() { config } else { ProptestConfig { cases: count, ..config } }
}

/// The types of one network, or two.
pub(crate) fn types() -> impl Strategy<Value = &'static [&'static str]> {
    prop_oneof![
        2 => Just(&["L2Bridge"][..]),
        2 => Just(&["Overlay"][..]),
        1 => Just(&["L2Bridge", "L2Bridge"][..]),
        1 => Just(&["Overlay", "L2Bridge"][..]),
        1 => Just(&["L2Bridge", "Overlay"][..]),
    ]
}

pub(crate) fn own_host() -> Host {
    Host {
        node_ips: vec!["192.168.77.1".parse().unwrap(), "fd00:77::1".parse().unwrap()],
        mac: Some("16:3f:c8:c9:10:9d".into()),
    }
}

impl Rig {
    pub(crate) fn new(network_type: &str, version: &str, api_version: ApiVersion) -> Self {
        Self::with(&[network_type], version, api_version)
    }

    /// With networks of these types, all of which the settings name. The source address is in the overlay network.
    pub(crate) fn with(types: &[&str], version: &str, api_version: ApiVersion) -> Self {
        let emulator = Arc::new(Emulator::from_host(&host(version, types)).unwrap());
        let source_vip = if types.get(1) == Some(&"Overlay") { "10.245.1.250" } else { "10.244.1.250" };
        let settings = Settings {
            network_names: (0..types.len()).map(|place| format!("cbr{place}")).collect(),
            source_vip: source_vip.parse().ok().map(SourceVip::Address),
            ..settings()
        };
        Self::of(settings, emulator, api_version)
    }

    pub(crate) fn l2bridge() -> Self {
        Self::new("L2Bridge", "15.5", ApiVersion::V2)
    }

    pub(crate) fn on(emulator: Arc<Emulator>, api_version: ApiVersion) -> Self {
        Self::of(settings(), emulator, api_version)
    }

    fn of(settings: Settings, emulator: Arc<Emulator>, api_version: ApiVersion) -> Self {
        let client = Client::new(emulator.clone(), api_version);
        let proxy = Reconciler::new(settings.clone(), own_host());
        Self { settings, emulator, client, proxy, now: Duration::from_secs(1) }
    }

    /// Gives the proxy a complete cluster.
    pub(crate) fn cluster(&mut self, services: Vec<Service>, slices: Vec<Slice>) {
        self.proxy.reset_services(services);
        self.proxy.reset_slices(slices);
    }

    /// Audits HNS, then runs.
    pub(crate) fn sync(&mut self) -> Report {
        self.proxy.audit(&self.client).unwrap();
        self.run()
    }

    pub(crate) fn run(&mut self) -> Report {
        self.proxy.run(&self.client, self.now)
    }

    /// Audits and runs until nothing is due; panics if that takes too long.
    pub(crate) fn settle(&mut self) {
        for _ in 0..50 {
            self.proxy.audit(&self.client).unwrap();
            let report = self.run();
            if waits_only_for_networks(&self.proxy) && report.outcomes.is_empty() {
                return;
            }
            if let Next::At(due) = report.next {
                self.now = self.now.max(due);
            }
        }
        panic!("no end: {:?}", self.proxy.plan(self.now));
    }

    /// A new process on the same HNS with the same cluster.
    pub(crate) fn restart(&mut self) {
        let services = self.proxy.cluster().iter().filter_map(|(_, entry)| entry.service.clone()).collect();
        let slices = self.proxy.cluster().iter().flat_map(|(_, entry)| entry.slices.values().cloned()).collect();
        let api_version = self.client.api_version();
        *self = Rig { now: self.now, ..Rig::of(self.settings.clone(), self.emulator.clone(), api_version) };
        self.cluster(services, slices);
    }

    /// The numbers of native calls, and of writes among them, since the last call of this function.
    pub(crate) fn calls(&self) -> (u64, u64) {
        let counts = (self.emulator.native_calls(), self.emulator.writes());
        self.emulator.reset_journal();
        counts
    }

    /// Makes the next call of a function fail, carried out or not.
    pub(crate) fn break_once(&self, function: &str, done: bool, code: Hresult) {
        let effect = if done { Effect::FailAfter(code) } else { Effect::Fail(code) };
        self.emulator.inject(Fault { which: Which::Function(function.into()), from: 1, every: 0, effect });
    }

    pub(crate) fn local(&self, name: &str, addresses: &[&str]) -> Guid {
        self.local_in(NETWORK, name, addresses)
    }

    pub(crate) fn local_in(&self, network: Guid, name: &str, addresses: &[&str]) -> Guid {
        let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        self.emulator.add_local_endpoint(network, name, &addresses)
    }

    /// The objects in HNS, one line each, without ids.
    pub(crate) fn objects(&self) -> Vec<String> {
        let endpoints = self.emulator.documents(Kind::Endpoint);
        let address =
            |endpoint: &Value| endpoint["IpConfigurations"][0]["IpAddress"].as_str().unwrap_or("?").to_owned();
        let find = |id: &Value| {
            let of_id = |e: &&Value| e["ID"].as_str().unwrap().eq_ignore_ascii_case(id.as_str().unwrap());
            endpoints.iter().find(of_id).map_or("gone".into(), address)
        };
        let endpoint = |e: &Value| {
            let kind = if e["Flags"].as_u64().unwrap_or(0) & 1 == 1 { "remote" } else { "local" };
            let provider = e["Policies"][0]["Settings"]["ProviderAddress"].as_str();
            let network =
                e["HostComputeNetwork"].as_str().and_then(|id| self.emulator.document(Kind::Network, id.parse().ok()?));
            let name = network.map_or(String::new(), |network| network["Name"].as_str().unwrap_or("?").to_owned());
            let several = self.settings.network_names.len() > 1 && name != "cbr0";
            let network = if several { format!(" in {name}") } else { String::new() };
            format!("{kind} {}{}{network}", address(e), provider.map_or(String::new(), |p| format!(" on {p}")))
        };
        let load_balancer = |lb: &Value| {
            let mapping = &lb["PortMappings"][0];
            let empty = Vec::new();
            let mut backends: Vec<String> =
                lb["HostComputeEndpoints"].as_array().unwrap_or(&empty).iter().map(find).collect();
            backends.sort();
            format!(
                "lb {}:{}/{} -> {}:{} flags {}/{}{}{}",
                lb["FrontendVIPs"][0].as_str().unwrap_or("node"),
                mapping["ExternalPort"],
                mapping["Protocol"],
                backends.join(","),
                mapping["InternalPort"],
                lb["Flags"].as_u64().unwrap_or(0),
                mapping["Flags"].as_u64().unwrap_or(0),
                mapping["DistributionType"].as_u64().map_or(String::new(), |d| format!(" distribution {d}")),
                lb["SourceVIP"].as_str().map_or(String::new(), |ip| format!(" from {ip}")),
            )
        };
        let mut lines: Vec<String> = endpoints.iter().map(endpoint).collect();
        lines.extend(self.emulator.documents(Kind::LoadBalancer).iter().map(load_balancer));
        lines.sort();
        lines
    }
}
