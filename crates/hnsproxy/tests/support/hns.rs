//! An emulated HNS that outlives the program.

use std::sync::Arc;

use hcn::Kind;
use hcn_emulator::service::{Running as Service, Service as Listening};
use hcn_emulator::{Emulator, Host};
use serde_json::Value;

use super::recording::host;
use super::wait::wait_until;

/// An emulator service.
pub(crate) struct Hns {
    pub(crate) emulator: Arc<Emulator>,
    service: Service,
}

impl Hns {
    /// With the host of a recording.
    pub(crate) fn of(name: &str) -> Self {
        Self::on(&host(name))
    }

    pub(crate) fn on(host: &Host) -> Self {
        let emulator = Arc::new(Emulator::from_host(host).unwrap());
        let service = Listening::bind("127.0.0.1:0", emulator.clone()).unwrap().with_facts(host).spawn().unwrap();
        Self { emulator, service }
    }

    pub(crate) fn flag(&self) -> String {
        format!("--hns=tcp://{}", self.service.address())
    }

    pub(crate) fn load_balancers(&self) -> Vec<Value> {
        self.emulator.documents(Kind::LoadBalancer)
    }

    /// `ADDRESS:PORT` of each load balancer with an address.
    pub(crate) fn frontends(&self) -> Vec<String> {
        let address = |lb: &Value| {
            let ip = lb["FrontendVIPs"][0].as_str()?.to_owned();
            Some(format!("{ip}:{}", lb["PortMappings"][0]["ExternalPort"]))
        };
        self.load_balancers().iter().filter_map(address).collect()
    }

    /// Whether there is a load balancer on an address.
    pub(crate) fn has_frontend(&self, address: &str) -> bool {
        let prefix = format!("{address}:");
        self.frontends().iter().any(|frontend| frontend.starts_with(&prefix))
    }

    /// Waits until there is a load balancer on an address.
    #[track_caller]
    pub(crate) fn wait_for_frontend(&self, address: &str) {
        let prefix = format!("{address}:");
        let has = |frontends: &Vec<String>| frontends.iter().any(|frontend| frontend.starts_with(&prefix));
        wait_until(&format!("a load balancer on {address}"), || self.frontends(), has);
    }

    /// Waits until there is no load balancer on an address.
    #[track_caller]
    pub(crate) fn wait_for_no_frontend(&self, address: &str) {
        let prefix = format!("{address}:");
        let has_not = |frontends: &Vec<String>| !frontends.iter().any(|frontend| frontend.starts_with(&prefix));
        wait_until(&format!("no load balancer on {address}"), || self.frontends(), has_not);
    }

    /// Waits until there is an endpoint with an address, or until there is none.
    #[track_caller]
    pub(crate) fn wait_for_endpoint(&self, address: &str, present: bool) {
        let what = format!("endpoint {address} to be present: {present}");
        let addresses = || -> Vec<Value> {
            let endpoints = self.emulator.documents(Kind::Endpoint);
            endpoints.iter().map(|endpoint| endpoint["IpConfigurations"][0]["IpAddress"].clone()).collect()
        };
        wait_until(&what, addresses, |all: &Vec<Value>| all.iter().any(|ip| ip == address) == present);
    }

    /// The documents of all objects, sorted.
    pub(crate) fn objects(&self) -> Vec<String> {
        let mut objects: Vec<_> = [Kind::Network, Kind::Endpoint, Kind::LoadBalancer]
            .into_iter()
            .flat_map(|kind| self.emulator.documents(kind))
            .map(|document| document.to_string())
            .collect();
        objects.sort();
        objects
    }

    /// Waits until it has these objects and no others.
    #[track_caller]
    pub(crate) fn wait_until_objects_are(&self, objects: &[String]) {
        wait_until("HNS to have these objects", || self.objects(), |now: &Vec<String>| now == objects);
    }

    /// How often a native function was called.
    pub(crate) fn calls_of(&self, function: &str) -> u64 {
        self.emulator.counters().get(function).copied().unwrap_or_default()
    }

    /// Waits until a complete audit has followed.
    #[track_caller]
    pub(crate) fn wait_for_audit(&self) {
        let audits = || self.calls_of("HcnEnumerateLoadBalancers");
        // An audit in progress may have begun before this call.
        let goal = audits() + 2;
        wait_until("two audits", audits, |audits| *audits >= goal);
    }

    pub(crate) fn remove(&self, load_balancer: &Value) {
        let id = load_balancer["ID"].as_str().unwrap().parse().unwrap();
        self.emulator.remove(Kind::LoadBalancer, id);
    }
}
