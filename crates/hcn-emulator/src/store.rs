//! The objects, and what HNS checks before it takes or changes one.
//!
//! Documents are kept as they came, in the v2 shape, so that unknown members and spellings come back verbatim. Indexes make every
//! write cost the same at any size.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use hcn::call::Handle;
use hcn::schema::{DistributionType, Endpoint, LoadBalancer, LoadBalancerFlags, Network, Policy, Protocol};
use hcn::{Features, Guid, Kind, Version};
use ipnet::IpNet;
use serde_json::{Value, json};

use crate::builds::Build;
use crate::rules::{self, Rule};

/// Objects of one kind, in the order of their creation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    rows: BTreeMap<u64, (Guid, Value)>,
    places: HashMap<Guid, u64>,
    next: u64,
}

impl Table {
    pub(crate) fn get(&self, id: Guid) -> Option<&Value> {
        self.rows.get(self.places.get(&id)?).map(|(_, document)| document)
    }

    fn get_mut(&mut self, id: Guid) -> Option<&mut Value> {
        self.rows.get_mut(self.places.get(&id)?).map(|(_, document)| document)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Guid, &Value)> {
        self.rows.values().map(|(id, document)| (*id, document))
    }

    fn insert(&mut self, id: Guid, document: Value) {
        self.next += 1;
        self.places.insert(id, self.next);
        self.rows.insert(self.next, (id, document));
    }

    fn remove(&mut self, id: Guid) -> Option<Value> {
        let place = self.places.remove(&id)?;
        self.rows.remove(&place).map(|(_, document)| document)
    }
}

/// What two load balancers can't share: the IPv6 bit, address, protocol and port.
type FrontendKey = (bool, Option<String>, Protocol, u16);

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) build: Build,
    tables: HashMap<Kind, Table>,
    handles: HashMap<u64, (Kind, Guid)>,
    next_handle: u64,
    frontends: HashMap<FrontendKey, Guid>,
    addresses: HashMap<(Guid, IpAddr), Vec<Guid>>,
    mapped_ports: HashMap<(u64, u64), Guid>,
    leaked_ports: BTreeSet<(u32, u16)>,
    delete_attempted: HashSet<Guid>,
    empty: Table,
}

impl Store {
    pub(crate) fn new(build: Build) -> Self {
        Self {
            build,
            tables: HashMap::new(),
            handles: HashMap::new(),
            next_handle: 0,
            frontends: HashMap::new(),
            addresses: HashMap::new(),
            mapped_ports: HashMap::new(),
            leaked_ports: BTreeSet::new(),
            delete_attempted: HashSet::new(),
            empty: Table::default(),
        }
    }

    pub(crate) fn features(&self) -> Features {
        Features::of(self.build.version)
    }

    pub(crate) fn table(&self, kind: Kind) -> &Table {
        self.tables.get(&kind).unwrap_or(&self.empty)
    }

    pub(crate) fn get(&self, kind: Kind, id: Guid) -> Result<&Value, Rule> {
        self.table(kind).get(id).ok_or(unknown(kind))
    }

    pub(crate) fn open(&mut self, kind: Kind, id: Guid) -> Result<Handle, Rule> {
        self.get(kind, id)?;
        self.next_handle += 1;
        self.handles.insert(self.next_handle, (kind, id));
        Ok(Handle(self.next_handle))
    }

    pub(crate) fn close(&mut self, handle: Handle) {
        self.handles.remove(&handle.0);
    }

    pub(crate) fn close_all(&mut self) {
        self.handles.clear();
    }

    /// The object of an open handle.
    pub(crate) fn opened(&self, kind: Kind, handle: Handle) -> Result<Guid, Rule> {
        match self.handles.get(&handle.0) {
            Some((of, id)) if *of == kind => self.table(kind).get(*id).map(|_| *id).ok_or(rules::OBJECT_GONE),
            _ => Err(rules::INVALID_HANDLE),
        }
    }

    /// Takes a v2 document after all checks. The id is the wanted one if it is not zero, else the document's, else a new one.
    pub(crate) fn create(
        &mut self,
        kind: Kind,
        network: Option<Guid>,
        wanted: Guid,
        mut document: Value,
    ) -> Result<Guid, Rule> {
        let Value::Object(members) = &document else { return Err(rules::INVALID_JSON) };
        let own = match members.get("ID") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(text.parse::<Guid>().map_err(|_| rules::BACKEND_NO_ID)?),
            Some(_) => return Err(rules::INVALID_JSON),
        };
        let chosen = Some(wanted).filter(|id| !id.is_nil()).or(own).filter(|id| !id.is_nil());
        let id = chosen.filter(|_| !self.build.quirks.chooses_ids).unwrap_or_else(Guid::new_v4);
        if self.table(kind).get(id).is_some() {
            return Err(if kind == Kind::Network { rules::DUPLICATE_NETWORK } else { rules::DUPLICATE_ID });
        }
        match kind {
            Kind::Network => self.check_network(&document)?,
            Kind::Endpoint => self.check_endpoint(network, id, &mut document)?,
            Kind::LoadBalancer => self.check_load_balancer(None, &document)?,
            Kind::Namespace => complete(&mut document, "Resources", || json!([])),
            Kind::Route => {}
        }
        self.insert(kind, id, document);
        Ok(id)
    }

    /// Takes a document without any check, as it was there before.
    pub(crate) fn insert(&mut self, kind: Kind, id: Guid, mut document: Value) {
        if let Value::Object(members) = &mut document {
            members.insert("ID".into(), id.to_string().into());
            members.entry("SchemaVersion").or_insert_with(|| json!({"Major": 2, "Minor": 0}));
        }
        self.index(kind, id, &document, true);
        self.tables.entry(kind).or_default().insert(id, document);
    }

    /// Replaces the document of an object that is there.
    pub(crate) fn replace(&mut self, kind: Kind, id: Guid, mut document: Value) {
        if let Value::Object(members) = &mut document {
            members.insert("ID".into(), id.to_string().into());
        }
        let old = self
            .tables
            .get_mut(&kind)
            .and_then(|table| table.get_mut(id))
            .map(|slot| std::mem::replace(slot, document.clone()));
        if let Some(old) = old {
            self.index(kind, id, &old, false);
            self.index(kind, id, &document, true);
        }
    }

    /// Takes an object out, without its dependants.
    pub(crate) fn remove(&mut self, kind: Kind, id: Guid) -> Option<Value> {
        let document = self.tables.get_mut(&kind)?.remove(id)?;
        self.index(kind, id, &document, false);
        Some(document)
    }

    pub(crate) fn delete(&mut self, kind: Kind, id: Guid) -> Result<(), Rule> {
        self.get(kind, id)?;
        let quirks = &self.build.quirks;
        if kind == Kind::LoadBalancer && quirks.first_delete_fails && self.delete_attempted.insert(id) {
            return Err(rules::FIRST_DELETE);
        }
        let leaks = quirks.leaks_ports;
        let document = self.remove(kind, id);
        match kind {
            Kind::Network => self.delete_of_network(id),
            Kind::Endpoint => self.detach_everywhere(id),
            Kind::LoadBalancer if leaks => {
                let keys = document.as_ref().map(|document| frontend_keys(&read(document))).unwrap_or_default();
                let anywhere = keys.into_iter().filter(|(_, vip, ..)| vip.is_none());
                self.leaked_ports.extend(anywhere.map(|(_, _, protocol, port)| (protocol.0, port)));
            }
            _ => {}
        }
        Ok(())
    }

    /// A network takes its endpoints along, and load balancers and routes all of whose endpoints these are.
    fn delete_of_network(&mut self, network: Guid) {
        let of_network = |document: &Value| id_of(document, "HostComputeNetwork") == Some(network);
        let gone: HashSet<Guid> =
            self.table(Kind::Endpoint).iter().filter(|(_, d)| of_network(d)).map(|(id, _)| id).collect();
        for id in &gone {
            self.remove(Kind::Endpoint, *id);
            self.detach_everywhere(*id);
        }
        for kind in [Kind::LoadBalancer, Kind::Route] {
            let orphaned = |document: &Value| {
                let backends = read::<LoadBalancer>(document);
                !backends.host_compute_endpoints.is_empty() && backends.endpoint_ids().all(|id| gone.contains(&id))
            };
            let orphans: Vec<Guid> = self.table(kind).iter().filter(|(_, d)| orphaned(d)).map(|(id, _)| id).collect();
            orphans.into_iter().for_each(|id| drop(self.remove(kind, id)));
        }
    }

    fn detach_everywhere(&mut self, endpoint: Guid) {
        let holds = |document: &Value| resources(document).any(|id| id == endpoint);
        let namespaces: Vec<Guid> =
            self.table(Kind::Namespace).iter().filter(|(_, d)| holds(d)).map(|(id, _)| id).collect();
        for namespace in namespaces {
            let _ = self.detach(namespace, endpoint);
        }
    }

    pub(crate) fn attach(&mut self, namespace: Guid, endpoint: Guid) -> Result<(), Rule> {
        let document = self.get(Kind::Endpoint, endpoint)?;
        if id_of(document, "HostComputeNamespace").is_some_and(|id| !id.is_nil()) {
            return Err(rules::IN_NAMESPACE);
        }
        if read::<Endpoint>(document).is_remote() {
            return Err(rules::REMOTE_PORT);
        }
        self.get(Kind::Namespace, namespace)?;
        let table = self.tables.entry(Kind::Namespace).or_default();
        if let Some(Value::Object(members)) = table.get_mut(namespace)
            && let Some(list) = members.entry("Resources").or_insert_with(|| json!([])).as_array_mut()
        {
            list.push(json!({"Type": "Endpoint", "Data": {"Id": endpoint}}));
        }
        if let Some(Value::Object(members)) = self.tables.entry(Kind::Endpoint).or_default().get_mut(endpoint) {
            members.insert("HostComputeNamespace".into(), namespace.to_string().into());
        }
        Ok(())
    }

    pub(crate) fn detach(&mut self, namespace: Guid, endpoint: Guid) -> Result<(), Rule> {
        let held = resources(self.get(Kind::Namespace, namespace)?).any(|id| id == endpoint);
        if !held {
            return Err(rules::NOT_IN_NAMESPACE);
        }
        let table = self.tables.entry(Kind::Namespace).or_default();
        if let Some(list) = table.get_mut(namespace).and_then(|d| d.get_mut("Resources")?.as_array_mut()) {
            list.retain(|resource| resource.pointer("/Data/Id").and_then(as_id) != Some(endpoint));
        }
        if let Some(Value::Object(members)) = self.tables.entry(Kind::Endpoint).or_default().get_mut(endpoint) {
            members.remove("HostComputeNamespace");
        }
        Ok(())
    }

    fn check_network(&self, document: &Value) -> Result<(), Rule> {
        let network: Network = typed(document)?;
        let known = ["NAT", "ICS", "Transparent", "L2Bridge", "L2Tunnel", "Overlay", "Private", "Internal", "Mirrored"];
        let mut known = known.iter().chain(&["Infiniband", "ConstrainedICS"]);
        if !known.any(|kind| kind.eq_ignore_ascii_case(&network.kind.0)) {
            return Err(rules::UNKNOWN_NETWORK_TYPE);
        }
        let name = |document: &Value| document.get("Name").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        if self.table(Kind::Network).iter().any(|(_, other)| name(other) == name(document)) {
            return Err(rules::DUPLICATE_NETWORK);
        }
        let mut subnets = network.ipams.iter().flat_map(|ipam| &ipam.subnets);
        if subnets.any(|subnet| subnet.ip_address_prefix.parse::<IpNet>().is_err()) {
            return Err(rules::INVALID_PREFIX);
        }
        Ok(())
    }

    fn check_endpoint(&mut self, network: Option<Guid>, id: Guid, document: &mut Value) -> Result<(), Rule> {
        let endpoint: Endpoint = typed(document)?;
        let network = network.or(endpoint.host_compute_network).ok_or(rules::UNKNOWN_NETWORK)?;
        let network_document: Network = read(self.get(Kind::Network, network)?);
        let remote = endpoint.is_remote();
        if remote && endpoint.mac_address.is_empty() {
            return Err(rules::REMOTE_WITHOUT_MAC);
        }
        let mut addresses = Vec::new();
        for ip in &endpoint.ip_configurations {
            addresses.push(ip.ip_address.parse::<IpAddr>().map_err(|_| rules::INVALID_ADDRESS)?);
        }
        if !remote {
            for address in &addresses {
                self.check_local_address(network, &network_document, *address)?;
            }
            if addresses.is_empty() {
                addresses.extend(self.free_address(network, &network_document)?);
            }
        }
        for policy in &endpoint.policies {
            self.check_policy(id, remote, policy)?;
        }
        let subnets = subnets(&network_document);
        let configurations: Vec<Value> = addresses
            .iter()
            .enumerate()
            .map(|(index, address)| {
                let given = endpoint.ip_configurations.get(index).map_or(0, |ip| ip.prefix_length);
                let subnet = subnets.iter().find(|subnet| subnet.contains(address)).map(IpNet::prefix_len);
                let host = if address.is_ipv4() { 32 } else { 128 };
                let length = if given > 0 { given } else { subnet.unwrap_or(host) };
                // The text of the address comes back as it was given.
                let text = endpoint.ip_configurations.get(index).map(|ip| ip.ip_address.clone());
                json!({"IpAddress": text.unwrap_or_else(|| address.to_string()), "PrefixLength": length})
            })
            .collect();
        if let Value::Object(members) = document {
            members.insert("HostComputeNetwork".into(), network.to_string().into());
            members.insert("IpConfigurations".into(), configurations.into());
        }
        complete(document, "Name", || "Ethernet".into());
        let low = id.as_u128() & 0xfff;
        complete(document, "MacAddress", || format!("00-15-5D-00-{:02X}-{:02X}", low >> 8, low & 0xff).into());
        Ok(())
    }

    fn check_local_address(&self, network: Guid, document: &Network, address: IpAddr) -> Result<(), Rule> {
        let subnets = subnets(document);
        let Some(subnet) = subnets.iter().find(|subnet| subnet.contains(&address)) else {
            return Err(rules::NOT_IN_SUBNET);
        };
        let gateway = gateways(document).contains(&address);
        let edge = address.is_ipv4() && (address == subnet.network() || address == subnet.broadcast());
        if gateway || edge {
            return Err(rules::RESERVED_ADDRESS);
        }
        for holder in self.addresses.get(&(network, address)).into_iter().flatten() {
            let remote = self.table(Kind::Endpoint).get(*holder).is_some_and(|d| read::<Endpoint>(d).is_remote());
            if !remote {
                return Err(rules::ADDRESS_IN_USE);
            }
            if self.build.quirks.remote_blocks_local {
                return Err(rules::REMOTE_HAS_ADDRESS);
            }
        }
        Ok(())
    }

    fn free_address(&self, network: Guid, document: &Network) -> Result<Option<IpAddr>, Rule> {
        let Some(subnet) = subnets(document).into_iter().next() else { return Ok(None) };
        let free = |address: &IpAddr| self.check_local_address(network, document, *address).is_ok();
        subnet.hosts().take(1 << 16).find(free).map(Some).ok_or(rules::NO_FREE_ADDRESS)
    }

    fn check_policy(&self, endpoint: Guid, remote: bool, policy: &Policy) -> Result<(), Rule> {
        let mapping = policy.is("PortMapping");
        if remote && (mapping || policy.is("ACL")) {
            return Err(rules::REMOTE_PORT);
        }
        let taken = mapping.then(|| self.mapped_ports.get(&mapped_port(policy))).flatten();
        if taken.is_some_and(|holder| *holder != endpoint) {
            return Err(rules::MAPPING_IN_USE);
        }
        Ok(())
    }

    /// Checks a load balancer, new or in place of the one of an id.
    pub(crate) fn check_load_balancer(&self, in_place: Option<Guid>, document: &Value) -> Result<(), Rule> {
        let balancer: LoadBalancer = typed(document)?;
        let features = self.features();
        if balancer.port_mappings.is_empty() {
            return Err(rules::NO_PORT_MAPPING);
        }
        for mapping in &balancer.port_mappings {
            if mapping.protocol != Protocol::TCP && mapping.protocol != Protocol::UDP {
                return Err(rules::UNBALANCED_PROTOCOL);
            }
            if mapping.internal_port == 0 {
                return Err(rules::NO_INTERNAL_PORT);
            }
            if mapping.distribution_type != DistributionType::CONNECTION && !features.session_affinity {
                return Err(rules::NO_AFFINITY);
            }
        }
        if balancer.flags.contains(LoadBalancerFlags::DSR) && !features.dsr {
            return Err(rules::NO_DSR);
        }
        if balancer.flags.contains(LoadBalancerFlags::IPV6) && !features.ipv6_dual_stack {
            return Err(rules::NO_IPV6);
        }
        if balancer.host_compute_endpoints.is_empty() {
            return Err(rules::NO_BACKEND);
        }
        for id in &balancer.host_compute_endpoints {
            let id: Guid = id.parse().map_err(|_| rules::BACKEND_NO_ID)?;
            let endpoint = self.table(Kind::Endpoint).get(id).ok_or(rules::UNKNOWN_BACKEND)?;
            let attached = id_of(endpoint, "HostComputeNamespace").is_some_and(|id| !id.is_nil());
            if self.build.quirks.wants_attached_backends && !attached && !read::<Endpoint>(endpoint).is_remote() {
                return Err(rules::UNATTACHED_BACKEND);
            }
        }
        let keys = frontend_keys(&balancer);
        if keys.iter().collect::<HashSet<_>>().len() < keys.len() {
            return Err(rules::FRONTEND_IN_USE);
        }
        for key in &keys {
            if self.frontends.get(key).is_some_and(|holder| Some(*holder) != in_place) {
                return Err(rules::FRONTEND_IN_USE);
            }
            let port = (key.2.0, key.3);
            let reserved = self.build.quirks.reserved_ports.contains(&port) || self.leaked_ports.contains(&port);
            if key.1.is_none() && reserved {
                return Err(rules::PORT_RESERVED);
            }
        }
        Ok(())
    }

    fn index(&mut self, kind: Kind, id: Guid, document: &Value, add: bool) {
        match kind {
            Kind::LoadBalancer => {
                for key in frontend_keys(&read(document)) {
                    if add {
                        self.frontends.entry(key).or_insert(id);
                    } else if self.frontends.get(&key) == Some(&id) {
                        self.frontends.remove(&key);
                    }
                }
            }
            Kind::Endpoint => {
                let endpoint: Endpoint = read(document);
                let network = endpoint.host_compute_network.unwrap_or_default();
                for address in endpoint.addresses() {
                    let holders = self.addresses.entry((network, address)).or_default();
                    holders.retain(|holder| *holder != id);
                    if add {
                        holders.push(id);
                    } else if holders.is_empty() {
                        self.addresses.remove(&(network, address));
                    }
                }
                for policy in endpoint.policies.iter().filter(|policy| policy.is("PortMapping")) {
                    let key = mapped_port(policy);
                    if add {
                        self.mapped_ports.entry(key).or_insert(id);
                    } else if self.mapped_ports.get(&key) == Some(&id) {
                        self.mapped_ports.remove(&key);
                    }
                }
            }
            Kind::Network | Kind::Namespace | Kind::Route => {}
        }
    }

    /// Adds, replaces or removes policies of a network or endpoint. `request` is `Add`, `Update` or `Remove`.
    pub(crate) fn change_policies(
        &mut self,
        kind: Kind,
        id: Guid,
        request: &str,
        policies: &[Value],
    ) -> Result<(), Rule> {
        let mut document = self.get(kind, id)?.clone();
        let mut current: Vec<Value> = document.get("Policies").and_then(Value::as_array).cloned().unwrap_or_default();
        let of_type = |policy: &Value| policy.get("Type").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        match request {
            "Remove" => current.retain(|have| {
                let removed = |gone: &Value| {
                    of_type(gone) == of_type(have)
                        && (gone.get("Settings") == have.get("Settings") || of_type(gone) == "hostroute")
                };
                !policies.iter().any(removed)
            }),
            "Update" => {
                current.retain(|have| !policies.iter().any(|new| of_type(new) == of_type(have)));
                current.extend_from_slice(policies);
            }
            _ => {
                let routes = |policy: &&Value| of_type(policy) == "remotesubnetroute";
                if policies.iter().filter(routes).any(|policy| current.contains(policy)) {
                    return Err(rules::DUPLICATE_POLICY);
                }
                current.extend_from_slice(policies);
            }
        }
        if kind == Kind::Endpoint {
            let remote = read::<Endpoint>(&document).is_remote();
            for policy in &current {
                self.check_policy(id, remote, &typed(policy)?)?;
            }
        }
        if let Value::Object(members) = &mut document {
            members.insert("Policies".into(), current.into());
        }
        self.replace(kind, id, document);
        Ok(())
    }

    /// Changes a load balancer to a whole document.
    pub(crate) fn modify_load_balancer(&mut self, id: Guid, document: Value) -> Result<(), Rule> {
        if self.build.version < Version::new(15, 4) {
            return Err(rules::NO_MODIFY);
        }
        self.check_load_balancer(Some(id), &document)?;
        if !self.build.quirks.silent_modify {
            self.replace(Kind::LoadBalancer, id, document);
        }
        Ok(())
    }
}

fn unknown(kind: Kind) -> Rule {
    match kind {
        Kind::Network => rules::UNKNOWN_NETWORK,
        Kind::Endpoint => rules::UNKNOWN_ENDPOINT,
        Kind::LoadBalancer => rules::UNKNOWN_LOAD_BALANCER,
        Kind::Namespace => rules::UNKNOWN_NAMESPACE,
        Kind::Route => rules::UNKNOWN_ROUTE,
    }
}

/// A document that was taken, as a type: it was checked then.
pub(crate) fn read<T: serde::de::DeserializeOwned + Default>(document: &Value) -> T {
    serde_json::from_value(document.clone()).unwrap_or_default()
}

fn typed<T: serde::de::DeserializeOwned>(document: &Value) -> Result<T, Rule> {
    serde_json::from_value(document.clone()).map_err(|_| rules::INVALID_JSON)
}

fn as_id(value: &Value) -> Option<Guid> {
    value.as_str()?.parse().ok()
}

pub(crate) fn id_of(document: &Value, member: &str) -> Option<Guid> {
    document.get(member).and_then(as_id)
}

fn resources(namespace: &Value) -> impl Iterator<Item = Guid> + '_ {
    let list = namespace.get("Resources").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|resource| resource.pointer("/Data/Id").and_then(as_id))
}

fn complete(document: &mut Value, member: &str, default: impl FnOnce() -> Value) {
    if let Value::Object(members) = document
        && members.get(member).is_none_or(|value| value.is_null() || value.as_str() == Some(""))
    {
        members.insert(member.into(), default());
    }
}

fn subnets(network: &Network) -> Vec<IpNet> {
    let subnets = network.ipams.iter().flat_map(|ipam| &ipam.subnets);
    subnets.filter_map(|subnet| subnet.ip_address_prefix.parse().ok()).collect()
}

fn gateways(network: &Network) -> Vec<IpAddr> {
    let routes = network.ipams.iter().flat_map(|ipam| &ipam.subnets).flat_map(|subnet| &subnet.routes);
    routes.filter_map(|route| route.next_hop.parse().ok()).collect()
}

fn mapped_port(policy: &Policy) -> (u64, u64) {
    let number = |member: &str| policy.settings.get(member).and_then(Value::as_u64).unwrap_or_default();
    (number("Protocol"), number("ExternalPort"))
}

fn frontend_keys(balancer: &LoadBalancer) -> Vec<FrontendKey> {
    let six = balancer.flags.contains(LoadBalancerFlags::IPV6);
    let vips: Vec<Option<String>> = if balancer.frontend_vips.is_empty() {
        vec![None]
    } else {
        balancer.frontend_vips.iter().map(|vip| Some(vip.to_lowercase())).collect()
    };
    let mappings = balancer.port_mappings.iter();
    mappings.flat_map(|m| vips.iter().map(move |vip| (six, vip.clone(), m.protocol, m.external_port))).collect()
}
