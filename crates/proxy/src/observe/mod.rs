//! What HNS holds: an index, kept up to date by our own writes and corrected by looking again.
//!
//! Looking costs one call for each kind of object; documents are read only of objects that are new and whose id does not tell their
//! content. An object that vanishes between the list and the look is normal. A document that makes no sense is remembered as
//! skipped, and not asked for again. An error changes nothing of what is known.

mod drift;
mod held;
mod look;
mod verify;

use std::net::IpAddr;

use hcn::Guid;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::dirty::Dirty;
use crate::frontend::Frontend;
use crate::identity::Content;

pub use drift::{Cause, Drift, Found, by_cause};
pub use held::{HeldEndpoint, HeldLoadBalancer, Owner};
pub(crate) use look::owner_of;
pub use look::{ListedEndpoint, Scrutiny};

/// What HNS holds of the networks' endpoints and the host's load balancers.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    endpoints: FxHashMap<Guid, HeldEndpoint>,
    at: FxHashMap<IpAddr, SmallVec<[Guid; 1]>>,
    named: FxHashMap<SmolStr, SmallVec<[Guid; 1]>>,
    load_balancers: FxHashMap<Guid, HeldLoadBalancer>,
    on: FxHashMap<Frontend, SmallVec<[Guid; 1]>>,
    /// How many load balancers have an endpoint as backend.
    references: FxHashMap<Guid, usize>,
    skipped_endpoints: FxHashMap<Guid, String>,
    skipped_load_balancers: FxHashMap<Guid, String>,
    /// Objects whose id is known not to tell their content: changed in place, or found to say something else.
    distrusted: FxHashSet<Guid>,
    /// Whether load balancers were looked at before.
    load_balancers_known: bool,
    /// Objects that the lists of the first generation show otherwise than they themselves say.
    listed_otherwise: FxHashSet<Guid>,
}

impl Observed {
    /// An endpoint by its id.
    pub fn endpoint(&self, id: Guid) -> Option<&HeldEndpoint> {
        self.endpoints.get(&id)
    }

    /// Whether any endpoint of a network is known.
    pub fn has_endpoints(&self, network: Guid) -> bool {
        self.endpoints.values().any(|held| held.network == network)
    }

    /// How many endpoints are known.
    pub fn endpoint_count(&self) -> usize {
        self.endpoints.len()
    }

    /// How many load balancers are known.
    pub fn load_balancer_count(&self) -> usize {
        self.load_balancers.len()
    }

    /// The endpoints at an address.
    pub fn at(&self, address: IpAddr) -> impl Iterator<Item = (Guid, &HeldEndpoint)> {
        self.at.get(&address).into_iter().flatten().filter_map(|id| Some((*id, self.endpoints.get(id)?)))
    }

    /// The local endpoint at an address.
    pub fn local_at(&self, address: IpAddr) -> Option<Guid> {
        self.at(address).find(|(_, endpoint)| !endpoint.remote).map(|(id, _)| id)
    }

    /// The local endpoint of a name.
    pub fn named(&self, name: &str) -> Option<Guid> {
        self.named.get(name)?.first().copied()
    }

    /// A load balancer by its id.
    pub fn load_balancer(&self, id: Guid) -> Option<&HeldLoadBalancer> {
        self.load_balancers.get(&id)
    }

    /// The load balancers on a frontend: one, except among others' mistakes.
    pub fn on(&self, frontend: Frontend) -> impl Iterator<Item = (Guid, &HeldLoadBalancer)> {
        self.on.get(&frontend).into_iter().flatten().filter_map(|id| Some((*id, self.load_balancers.get(id)?)))
    }

    /// Whether any load balancer has an endpoint as backend.
    pub fn is_referenced(&self, endpoint: Guid) -> bool {
        self.references.get(&endpoint).is_some_and(|count| *count > 0)
    }

    /// How many load balancers have an endpoint as backend.
    pub fn references(&self, endpoint: Guid) -> usize {
        self.references.get(&endpoint).copied().unwrap_or_default()
    }

    /// All load balancers of others.
    pub fn of_others(&self) -> impl Iterator<Item = (Guid, &HeldLoadBalancer)> {
        self.load_balancers.iter().filter(|(_, held)| held.owner == Owner::Others).map(|(id, held)| (*id, held))
    }

    /// Whether there is any load balancer of ours.
    pub fn has_load_balancers_of_ours(&self) -> bool {
        self.load_balancers.values().any(|held| held.owner == Owner::Us)
    }

    /// Documents that made no sense, and why.
    pub fn skipped(&self) -> impl Iterator<Item = (Guid, &str)> {
        let all = self.skipped_endpoints.iter().chain(&self.skipped_load_balancers);
        all.map(|(id, reason)| (*id, reason.as_str()))
    }

    /// Notes an endpoint.
    pub fn insert_endpoint(&mut self, id: Guid, endpoint: HeldEndpoint, dirty: &mut Dirty) {
        self.remove_endpoint(id, dirty);
        dirty.addresses.extend(endpoint.addresses.iter().copied());
        for address in &endpoint.addresses {
            self.at.entry(*address).or_default().push(id);
        }
        if !endpoint.remote && !endpoint.name.is_empty() {
            self.named.entry(endpoint.name.clone()).or_default().push(id);
        }
        self.endpoints.insert(id, endpoint);
    }

    /// Forgets an endpoint.
    pub fn remove_endpoint(&mut self, id: Guid, dirty: &mut Dirty) {
        let Some(endpoint) = self.endpoints.remove(&id) else { return };
        dirty.addresses.extend(endpoint.addresses.iter().copied());
        for address in &endpoint.addresses {
            remove_from(&mut self.at, address, id);
        }
        remove_from(&mut self.named, &endpoint.name, id);
    }

    /// Notes that an endpoint was deleted for good: the next of its id will say what the id tells.
    pub fn forget_endpoint(&mut self, id: Guid, dirty: &mut Dirty) {
        self.remove_endpoint(id, dirty);
        self.distrusted.remove(&id);
    }

    /// Notes a load balancer.
    pub fn insert_load_balancer(&mut self, id: Guid, held: HeldLoadBalancer, dirty: &mut Dirty) {
        self.remove_load_balancer(id, dirty);
        dirty.frontends.extend(held.frontends.iter().copied());
        for frontend in &held.frontends {
            self.on.entry(*frontend).or_default().push(id);
        }
        for endpoint in &held.endpoints {
            *self.references.entry(*endpoint).or_default() += 1;
        }
        self.load_balancers.insert(id, held);
    }

    /// Forgets a load balancer.
    pub fn remove_load_balancer(&mut self, id: Guid, dirty: &mut Dirty) {
        let Some(held) = self.load_balancers.remove(&id) else { return };
        dirty.frontends.extend(held.frontends.iter().copied());
        for frontend in &held.frontends {
            remove_from(&mut self.on, frontend, id);
        }
        for endpoint in &held.endpoints {
            count_down(&mut self.references, endpoint);
            // Whoever had it: it may serve nobody now.
            let released = self.endpoints.get(endpoint).filter(|_| !self.references.contains_key(endpoint));
            dirty.addresses.extend(released.into_iter().flat_map(|held| held.addresses.iter().copied()));
        }
    }

    /// Notes that a load balancer may have been changed in place, or not: what it says is not known, and no endpoint that it may refer
    /// to is free. Whatever is wanted next will differ, and be written.
    pub fn doubt_load_balancer(&mut self, id: Guid, attempted: &HeldLoadBalancer) {
        let Some(mut held) = self.load_balancers.get(&id).cloned() else { return };
        let mut endpoints: Vec<Guid> = held.endpoints.iter().chain(&attempted.endpoints).copied().collect();
        endpoints.sort_unstable();
        endpoints.dedup();
        held.endpoints = endpoints.into();
        held.content.whole = Content::UNKNOWN;
        self.insert_load_balancer(id, held, &mut Dirty::default());
        self.distrusted.insert(id);
    }

    /// Notes that an id does not tell the content of its object.
    pub fn distrust_id(&mut self, id: Guid) {
        self.distrusted.insert(id);
    }

    /// Notes that a load balancer was deleted for good: the next of its id will say what the id tells.
    pub fn forget_load_balancer(&mut self, id: Guid, dirty: &mut Dirty) {
        self.remove_load_balancer(id, dirty);
        self.distrusted.remove(&id);
    }

    /// Takes over a load balancer of others that is just what we want.
    pub fn adopt_load_balancer(&mut self, id: Guid) {
        if let Some(held) = self.load_balancers.get_mut(&id) {
            held.owner = Owner::Us;
        }
    }

    /// Takes over an endpoint of others that is just what we want.
    pub fn adopt_endpoint(&mut self, id: Guid) {
        if let Some(held) = self.endpoints.get_mut(&id) {
            held.owner = Owner::Us;
        }
    }
}

fn count_down(counts: &mut FxHashMap<Guid, usize>, key: &Guid) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn remove_from<K: std::hash::Hash + Eq>(index: &mut FxHashMap<K, SmallVec<[Guid; 1]>>, key: &K, id: Guid) {
    if let Some(ids) = index.get_mut(key) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}
