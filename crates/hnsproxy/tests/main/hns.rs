//! An emulated HNS that outlives the program.

use std::sync::Arc;

use hcn::Kind;
use hcn_emulator::service::{Running as Service, Service as Listening};
use hcn_emulator::{Emulator, Host};
use serde_json::Value;

use crate::program::recording;

/// An emulator as a service, with the host of a recording.
pub(crate) struct Hns {
    pub(crate) emulator: Arc<Emulator>,
    service: Service,
}

impl Hns {
    pub(crate) fn of(name: &str) -> Self {
        let host = std::fs::read_to_string(recording(name, "host.json")).unwrap();
        let host: Host = serde_json::from_str(&host).unwrap();
        let emulator = Arc::new(Emulator::from_host(&host).unwrap());
        let service = Listening::bind("127.0.0.1:0", emulator.clone()).unwrap().with_facts(&host).spawn().unwrap();
        Self { emulator, service }
    }

    pub(crate) fn flag(&self) -> String {
        format!("--hns=tcp://{}", self.service.address())
    }

    pub(crate) fn load_balancers(&self) -> Vec<Value> {
        self.emulator.documents(Kind::LoadBalancer)
    }

    /// Whether it has a load balancer on an address.
    pub(crate) fn has(&self, address: &str) -> bool {
        self.load_balancers().iter().any(|lb| lb["FrontendVIPs"][0] == address)
    }

    /// Everything that it holds, in no order.
    pub(crate) fn objects(&self) -> Vec<String> {
        let mut objects: Vec<_> = [Kind::Network, Kind::Endpoint, Kind::LoadBalancer]
            .into_iter()
            .flat_map(|kind| self.emulator.documents(kind))
            .map(|d| d.to_string())
            .collect();
        objects.sort();
        objects
    }

    pub(crate) fn remove(&self, load_balancer: &Value) {
        let id = load_balancer["ID"].as_str().unwrap().parse().unwrap();
        self.emulator.remove(Kind::LoadBalancer, id);
    }
}
