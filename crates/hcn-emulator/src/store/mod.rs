//! The objects, and the checks of HNS before it creates or modifies one.
//!
//! Documents are stored as received, in the v2 schema, so that unknown members are returned unchanged. Enumerations are normalized and
//! missing members filled in as HNS does. Indexes keep the cost of a write independent of the number of objects.

mod changes;
mod check_endpoint;
mod check_load_balancer;
mod check_network;
mod facts;
mod index;
mod members;
mod namespaces;
mod policies;
mod spelling;
mod table;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use hcn::call::{Call, Handle, Method};
use hcn::schema::NetworkType;
use hcn::{Event, Features, Guid, Kind};
use serde_json::{Value, json};

use crate::builds::{Build, Options};
use crate::events;
use crate::rules::{self, Rule};
use index::{Index, frontend_keys};
use members::{backends, complete, resources, unset};
use table::Table;

pub(crate) use changes::Noted;
pub(crate) use members::{as_id, id_of, read, set, strictly, typed};
pub(crate) use spelling::request;

#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) build: Build,
    pub(crate) options: Options,
    /// The addresses of the host itself.
    pub(crate) node_ips: Vec<IpAddr>,
    /// The object of the current call, once it is known.
    pub(crate) about: Option<(Kind, Guid)>,
    /// The member for which the current call is rejected, as the error record names it.
    pub(crate) unknown_member: Option<String>,
    /// Events and their objects that subscribers have not been notified of.
    pub(crate) happened: Vec<(Event, Guid)>,
    /// Whether the change feed has a subscriber. Without one, nothing is noted.
    pub(crate) is_followed: bool,
    /// The changes that are not published to the change feed yet.
    noted: Vec<Noted>,
    /// The list of `/accelnet/`.
    pub(crate) accelnet: Vec<Value>,
    tables: HashMap<Kind, Table>,
    /// The object of each handle, with its creation number: a reused id is another object.
    handles: HashMap<u64, (Kind, Guid, u64)>,
    next_handle: u64,
    index: Index,
    leaked_ports: BTreeSet<(u32, u16)>,
    delete_attempted: HashSet<Guid>,
    /// Local endpoints created by a call and without a switch port. All others existed before, or belong to a CNI plugin.
    unattached: HashSet<Guid>,
    /// Load balancers that HNS restored when it started.
    restored: HashSet<Guid>,
    empty: Table,
}

impl Store {
    pub(crate) fn new(build: Build) -> Self {
        Self {
            build,
            options: Options::default(),
            node_ips: Vec::new(),
            about: None,
            unknown_member: None,
            happened: Vec::new(),
            is_followed: false,
            noted: Vec::new(),
            accelnet: Vec::new(),
            tables: HashMap::new(),
            handles: HashMap::new(),
            next_handle: 0,
            index: Index::default(),
            leaked_ports: BTreeSet::new(),
            delete_attempted: HashSet::new(),
            unattached: HashSet::new(),
            restored: HashSet::new(),
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

    /// The document of an object, to change members that no index has.
    fn edit(&mut self, kind: Kind, id: Guid) -> Option<&mut Value> {
        let document = self.tables.get_mut(&kind)?.get_mut(id)?;
        if self.is_followed {
            self.noted.push(Noted::Object(kind, id));
        }
        Some(document)
    }

    pub(crate) fn open(&mut self, kind: Kind, id: Guid) -> Result<Handle, Rule> {
        self.about = Some((kind, id));
        let creation = self.table(kind).creation(id).ok_or(unknown(kind))?;
        self.next_handle += 1;
        self.handles.insert(self.next_handle, (kind, id, creation));
        Ok(Handle(self.next_handle))
    }

    pub(crate) fn close(&mut self, handle: Handle) {
        self.handles.remove(&handle.0);
    }

    pub(crate) fn close_all(&mut self) {
        self.handles.clear();
    }

    /// The object of an open handle.
    pub(crate) fn opened(&mut self, kind: Kind, handle: Handle) -> Result<Guid, Rule> {
        let Some((of, id, creation)) = self.handles.get(&handle.0).copied() else { return Err(rules::INVALID_HANDLE) };
        if of != kind {
            return Err(rules::INVALID_HANDLE);
        }
        self.about = Some((kind, id));
        if self.table(kind).creation(id) == Some(creation) { Ok(id) } else { Err(rules::OBJECT_GONE) }
    }

    /// Stores a v2 document after all checks. The id is the requested one unless it is nil, else that of the document, else a new one.
    pub(crate) fn create(
        &mut self,
        kind: Kind,
        network: Option<Guid>,
        wanted: Guid,
        mut document: Value,
    ) -> Result<Guid, Rule> {
        let own = own_id(&document)?;
        let chosen = Some(wanted).filter(|id| !id.is_nil()).or(own).filter(|id| !id.is_nil());
        let id = chosen.filter(|_| !self.build.quirks.chooses_ids.contains(&kind)).unwrap_or_else(Guid::new_v4);
        self.about = Some((kind, id));
        if self.table(kind).get(id).is_some() {
            return Err(if kind == Kind::Network { rules::DUPLICATE_NETWORK } else { rules::DUPLICATE_ID });
        }
        spelling::spell(kind, &mut document)?;
        match kind {
            Kind::Network => self.check_network(&mut document)?,
            Kind::Endpoint => self.check_endpoint(network, id, &mut document)?,
            Kind::LoadBalancer => self.check_load_balancer(None, &document)?,
            Kind::Namespace => complete(&mut document, "Resources", || json!([])),
            Kind::Route => complete_route(&mut document),
        }
        let local = kind == Kind::Endpoint && !is_remote(&document);
        self.insert(kind, id, document);
        if local {
            self.unattached.insert(id);
        }
        Ok(id)
    }

    /// Rejects a document with a member that is not published.
    pub(crate) fn check_members(&mut self, unknown: Option<&str>) -> Result<(), Rule> {
        match unknown {
            Some(member) if !self.options.accepts_unknown_members && !self.options.drops_unknown_members => {
                self.unknown_member = Some(format!("{{{{{member},UnknownField}}}}"));
                Err(rules::UNKNOWN_MEMBER)
            }
            _ => Ok(()),
        }
    }

    /// Whether a rejected `HNSCall` returns success, and reports the failure in its envelope only.
    pub(crate) fn fails_in_envelope(&self, call: &Call, rule: Rule) -> bool {
        // Server 2019 (Azure/azure-container-networking 715).
        let deletion = matches!(call, Call::Hns { method: Method::Delete, .. }) && rule == rules::UNKNOWN_ENDPOINT;
        self.options.fails_in_envelope || (self.build.version.major == 9 && deletion)
    }

    /// Notes that HNS has restored the load balancers, as it does when it starts.
    pub(crate) fn restored_all(&mut self) {
        self.restored = self.table(Kind::LoadBalancer).iter().map(|(id, _)| id).collect();
    }

    /// A document as HNS returns it, with the policies that HNS adds by itself: `L2Driver` to the endpoints of L2Bridge networks
    /// (Azure/AKS 1367).
    pub(crate) fn shown(&self, kind: Kind, document: &Value) -> Value {
        let mut shown = document.clone();
        if kind != Kind::Endpoint || !self.is_on_l2_bridge(document) {
            return shown;
        }
        complete(&mut shown, "Policies", || json!([]));
        if let Some(policies) = shown.get_mut("Policies").and_then(Value::as_array_mut)
            && !policies.iter().any(|policy| policy.get("Type").and_then(Value::as_str) == Some("L2Driver"))
        {
            policies.push(json!({"Type": "L2Driver", "Settings": {}}));
        }
        shown
    }

    fn is_on_l2_bridge(&self, endpoint: &Value) -> bool {
        let network = id_of(endpoint, "HostComputeNetwork").and_then(|id| self.table(Kind::Network).get(id));
        let network_type = network.and_then(|network| network.get("Type")?.as_str());
        network_type.is_some_and(|name| name.eq_ignore_ascii_case(NetworkType::L2_BRIDGE))
    }

    /// Stores a document without checks, and replaces one with its id.
    pub(crate) fn insert(&mut self, kind: Kind, id: Guid, mut document: Value) {
        complete(&mut document, "SchemaVersion", || json!({"Major": 2, "Minor": 0}));
        // Unknown enumerations stay, since existing objects are never rejected.
        let _ = spelling::spell(kind, &mut document);
        self.unattached.remove(&id);
        self.put(kind, id, document);
    }

    /// Replaces the document of an existing object.
    pub(crate) fn replace(&mut self, kind: Kind, id: Guid, document: Value) {
        if self.table(kind).get(id).is_some() {
            self.put(kind, id, document);
        }
    }

    fn put(&mut self, kind: Kind, id: Guid, mut document: Value) {
        set(&mut document, "ID", id.to_string());
        if let Some(old) = self.tables.get(&kind).and_then(|table| table.get(id)) {
            self.index.remove(kind, id, old);
        } else {
            self.happened.extend(events::created(kind).iter().map(|event| (*event, id)));
        }
        self.index.add(kind, id, &document);
        self.tables.entry(kind).or_default().put(id, document);
        self.note(Noted::Object(kind, id));
    }

    /// Removes an object without its dependants.
    pub(crate) fn remove(&mut self, kind: Kind, id: Guid) -> Option<Value> {
        let document = self.tables.get_mut(&kind)?.remove(id)?;
        self.restored.remove(&id);
        self.index.remove(kind, id, &document);
        self.note(Noted::Object(kind, id));
        self.happened.extend(events::deleted(kind).iter().map(|event| (*event, id)));
        Some(document)
    }

    /// Deletes an object as a call does, quirks included.
    pub(crate) fn delete(&mut self, kind: Kind, id: Guid) -> Result<(), Rule> {
        self.about = Some((kind, id));
        let document = self.get(kind, id)?;
        let quirks = &self.build.quirks;
        let stays = match kind {
            Kind::Endpoint => quirks.silent_delete && is_remote(document),
            Kind::LoadBalancer => quirks.silent_load_balancer_delete,
            Kind::Network | Kind::Namespace | Kind::Route => false,
        };
        if stays {
            return Ok(());
        }
        if kind == Kind::LoadBalancer {
            let keys = frontend_keys(&read(document)).into_iter().flatten();
            let on_host = |vip: &Option<IpAddr>| vip.is_none_or(|vip| self.node_ips.contains(&vip));
            let on_host: Vec<_> = keys.filter(|(_, vip, ..)| on_host(vip)).map(|(_, _, p, port)| (p.0, port)).collect();
            if self.build.quirks.first_delete_fails && self.delete_attempted.insert(id) {
                return Err(rules::FIRST_DELETE);
            }
            if self.build.quirks.leaks_ports {
                self.leaked_ports.extend(on_host);
            }
        }
        self.delete_anyway(kind, id);
        Ok(())
    }

    /// Removes an object with its dependants, without quirks.
    pub(crate) fn delete_anyway(&mut self, kind: Kind, id: Guid) {
        let Some(document) = self.remove(kind, id) else { return };
        match kind {
            Kind::Network => self.network_went(id),
            Kind::Endpoint => self.endpoint_went(id, &document),
            Kind::Namespace => self.namespace_went(&document),
            Kind::LoadBalancer => drop(self.delete_attempted.remove(&id)),
            Kind::Route => {}
        }
    }

    fn endpoint_went(&mut self, id: Guid, document: &Value) {
        self.unattached.remove(&id);
        if namespaces::is_on_port(document) {
            self.happened.push((Event::EndpointDetached, id));
        }
        if let Some(namespace) = id_of(document, "HostComputeNamespace") {
            let _ = self.detach(namespace, id);
        }
    }

    /// Removes the endpoints of a network, and load balancers and routes without any other endpoint.
    fn network_went(&mut self, network: Guid) {
        let of_network = |document: &Value| id_of(document, "HostComputeNetwork") == Some(network);
        let gone: HashSet<Guid> =
            self.table(Kind::Endpoint).iter().filter(|(_, d)| of_network(d)).map(|(id, _)| id).collect();
        gone.iter().for_each(|id| self.delete_anyway(Kind::Endpoint, *id));
        for kind in [Kind::LoadBalancer, Kind::Route] {
            let orphaned = |document: &Value| {
                let left = |id: Guid| self.table(Kind::Endpoint).get(id).is_some();
                backends(document).any(|id| gone.contains(&id)) && !backends(document).any(left)
            };
            let orphans: Vec<Guid> = self.table(kind).iter().filter(|(_, d)| orphaned(d)).map(|(id, _)| id).collect();
            orphans.into_iter().for_each(|id| self.delete_anyway(kind, id));
        }
    }

    fn namespace_went(&mut self, document: &Value) {
        for endpoint in resources(document, "Endpoint").filter_map(|id| id.parse().ok()) {
            self.detached(endpoint);
        }
    }
}

/// The id in a document; `None` if it is missing, null or empty.
fn own_id(document: &Value) -> Result<Option<Guid>, Rule> {
    let Value::Object(members) = document else { return Err(rules::INVALID_JSON) };
    match members.get("ID") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| rules::BACKEND_NO_ID),
        Some(_) => Err(rules::INVALID_JSON),
    }
}

/// Whether an endpoint is remote, by its document before or after normalization.
fn is_remote(document: &Value) -> bool {
    document.get("Flags").and_then(Value::as_u64).unwrap_or_default() & 1 == 1
}

/// Clients name the rules of a route `Setting`, the documentation `Routes`: the document gets both.
fn complete_route(document: &mut Value) {
    let rules = |member: &str| document.get(member).filter(|value| value.is_array()).cloned();
    if let Some(rules) = rules("Setting").or_else(|| rules("Routes")) {
        set(document, "Setting", rules.clone());
        set(document, "Routes", rules);
    } else {
        unset(document, "Setting");
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
