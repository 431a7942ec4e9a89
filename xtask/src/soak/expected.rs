//! What HNS should have for the objects of the API server: a second implementation of the rules, for the fields that this test uses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::Value;

use super::state::{Entry, Key, State, protocol};
use crate::cluster::NODE;

/// The state for these objects, if these addresses have local endpoints.
pub(super) fn state(objects: &[Value], local: &BTreeSet<Ipv4Addr>) -> State {
    let of_kind = |kind: &'static str| objects.iter().filter(move |object| text(object, "/kind") == kind);
    let mut slices: BTreeMap<(&str, &str), Vec<&Value>> = BTreeMap::new();
    for slice in of_kind("EndpointSlice") {
        let service = text(slice, "/metadata/labels/kubernetes.io~1service-name");
        slices.entry((text(slice, "/metadata/namespace"), service)).or_default().push(slice);
    }
    let mut state = State::new();
    for service in of_kind("Service") {
        let name = (text(service, "/metadata/namespace"), text(service, "/metadata/name"));
        let slices = slices.get(&name).map(Vec::as_slice).unwrap_or_default();
        add_service(&mut state, service, slices, local);
    }
    state
}

fn add_service(state: &mut State, service: &Value, slices: &[&Value], local: &BTreeSet<Ipv4Addr>) {
    let only_local = text(service, "/spec/externalTrafficPolicy") == "Local";
    for port in list(service, "/spec/ports") {
        let protocol = protocol(text(port, "/protocol"));
        let backends = Backends::of(slices, text(port, "/name"));
        let mut add = |address: Option<Ipv4Addr>, port: u64, only_local: bool| {
            let Ok(port) = u16::try_from(port) else { return };
            let used = backends.used(only_local);
            let remote = used.iter().filter(|backend| !backend.local);
            state.extend(remote.map(|backend| (Key::RemoteEndpoint(backend.address), Entry::RemoteEndpoint)));
            let reached = used.iter().filter(|backend| !backend.local || local.contains(&backend.address));
            let addresses: BTreeSet<Ipv4Addr> = reached.map(|backend| backend.address).collect();
            if !addresses.is_empty() {
                let entry = Entry::LoadBalancer { port: backends.port, backends: addresses };
                state.insert(Key::Frontend { address, port, protocol }, entry);
            }
        };
        let number = port.pointer("/port").and_then(Value::as_u64).unwrap_or_default();
        add(address(service, "/spec/clusterIP"), number, false);
        for external in list(service, "/spec/externalIPs") {
            add(external.as_str().and_then(|text| text.parse().ok()), number, only_local);
        }
        if let Some(node_port) = port.pointer("/nodePort").and_then(Value::as_u64) {
            add(None, node_port, only_local);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Backend {
    address: Ipv4Addr,
    local: bool,
    ready: bool,
    /// Terminating, and still serving.
    draining: bool,
}

/// The backends of one port of a Service.
struct Backends {
    port: u64,
    all: Vec<Backend>,
}

impl Backends {
    fn of(slices: &[&Value], port_name: &str) -> Self {
        let mut found = Self { port: 0, all: Vec::new() };
        for slice in slices {
            let mut ports = list(slice, "/ports").iter();
            let Some(port) = ports.find(|port| text(port, "/name") == port_name) else { continue };
            found.port = port.pointer("/port").and_then(Value::as_u64).unwrap_or_default();
            found.all.extend(list(slice, "/endpoints").iter().filter_map(|endpoint| {
                Some(Backend {
                    address: address(endpoint, "/addresses/0")?,
                    local: text(endpoint, "/nodeName") == NODE,
                    ready: flag(endpoint, "/conditions/ready"),
                    draining: flag(endpoint, "/conditions/serving") && flag(endpoint, "/conditions/terminating"),
                })
            }));
        }
        found
    }

    /// The ready ones, all or only local ones. If there are none, those that terminate and still serve (KEP-1669).
    fn used(&self, only_local: bool) -> Vec<Backend> {
        let candidates = self.all.iter().copied().filter(|backend| backend.local || !only_local);
        let ready: Vec<Backend> = candidates.clone().filter(|backend| backend.ready).collect();
        if ready.is_empty() { candidates.filter(|backend| backend.draining).collect() } else { ready }
    }
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn flag(value: &Value, path: &str) -> bool {
    value.pointer(path).and_then(Value::as_bool).unwrap_or_default()
}

fn address(value: &Value, path: &str) -> Option<Ipv4Addr> {
    text(value, path).parse().ok()
}
