//! What HNS has, from its documents.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use hcn::{Guid, Kind};
use hcn_emulator::Emulator;
use serde_json::Value;

use super::state::{Entry, Key, State, protocol};

/// The state, and the addresses of local endpoints with their ids.
pub(super) struct Observed {
    pub(super) state: State,
    pub(super) local: BTreeMap<Ipv4Addr, Guid>,
}

/// Objects that hnsproxy must leave alone: their names, ids and documents.
pub(super) type Foreign = [(&'static str, Guid, Value)];

pub(super) fn observe(emulator: &Emulator, foreign: &Foreign) -> Observed {
    // First the load balancers, so that an endpoint which is created before its load balancer is in the lists.
    let load_balancers = emulator.documents(Kind::LoadBalancer);
    let endpoints = emulator.documents(Kind::Endpoint);
    let mut observed = Observed { state: State::new(), local: BTreeMap::new() };
    let mut addresses = BTreeMap::new();
    for document in &endpoints {
        let Some(id) = id(document) else { continue };
        if let Some(entry) = foreign_entry(foreign, id, document) {
            observed.state.extend([entry]);
            continue;
        }
        let address = document.pointer("/IpConfigurations/0/IpAddress").and_then(Value::as_str);
        let Some(address) = address.and_then(|text| text.parse::<Ipv4Addr>().ok()) else { continue };
        addresses.insert(id, address);
        if document.pointer("/Flags").and_then(Value::as_u64).unwrap_or_default() & REMOTE == 0 {
            observed.local.insert(address, id);
        } else {
            insert(&mut observed.state, Key::RemoteEndpoint(address), Entry::RemoteEndpoint);
        }
    }
    for document in &load_balancers {
        let Some(id) = id(document) else { continue };
        match foreign_entry(foreign, id, document) {
            Some(entry) => observed.state.extend([entry]),
            None => insert(&mut observed.state, frontend(document), load_balancer(document, &addresses)),
        }
    }
    observed
}

/// The flag of an endpoint on another node.
const REMOTE: u64 = 1;

/// The entry of a foreign object; without one, the object is not foreign.
fn foreign_entry(foreign: &Foreign, id: Guid, document: &Value) -> Option<(Key, Entry)> {
    let (name, _, original) = foreign.iter().find(|(_, of, _)| *of == id)?;
    let entry = if document == original { Entry::Foreign } else { Entry::Invalid("modified".to_owned()) };
    Some((Key::Foreign(name), entry))
}

fn insert(state: &mut State, key: Key, entry: Entry) {
    if state.insert(key.clone(), entry).is_some() {
        state.insert(key, Entry::Invalid("two objects".to_owned()));
    }
}

pub(super) fn frontend(document: &Value) -> Key {
    let mapping = |member: &str| document.pointer("/PortMappings/0")?.get(member)?.as_u64();
    let address = document.pointer("/FrontendVIPs/0").and_then(Value::as_str);
    Key::Frontend {
        address: address.and_then(|text| text.parse().ok()),
        port: mapping("ExternalPort").and_then(|port| port.try_into().ok()).unwrap_or_default(),
        protocol: protocol(&mapping("Protocol").unwrap_or_default().to_string()),
    }
}

fn load_balancer(document: &Value, addresses: &BTreeMap<Guid, Ipv4Addr>) -> Entry {
    let ids = document.pointer("/HostComputeEndpoints").and_then(Value::as_array);
    let mut backends = BTreeSet::new();
    for endpoint in ids.into_iter().flatten() {
        let id: Option<Guid> = endpoint.as_str().and_then(|text| text.parse().ok());
        match id.and_then(|id| addresses.get(&id)) {
            Some(address) => backends.insert(*address),
            None => return Entry::Invalid(format!("refers to the missing endpoint {endpoint}")),
        };
    }
    let port = document.pointer("/PortMappings/0/InternalPort").and_then(Value::as_u64).unwrap_or_default();
    Entry::LoadBalancer { port, backends }
}

pub(super) fn id(document: &Value) -> Option<Guid> {
    document.get("ID")?.as_str()?.parse().ok()
}
