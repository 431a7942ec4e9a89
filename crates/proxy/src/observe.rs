//! What HNS holds: an index, kept up to date by our own writes and corrected by looking again.
//!
//! Looking costs one call for each kind of object; documents are read only of objects that are new and whose id does not tell their
//! content. An object that vanishes between the list and the look is normal. A document that makes no sense is remembered as
//! skipped, and not asked for again. An error changes nothing of what is known.

use std::net::IpAddr;

use hcn::client::Listed;
use hcn::schema::{Endpoint, LoadBalancer};
use hcn::{Class, Client, Error, Guid};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::desired::Dirty;
use crate::frontend::Frontend;
use crate::identity::{self, Content, Lineage, LoadBalancerContent};
use crate::settings::Capabilities;

/// Beyond so many unknown endpoints one list of all documents, by the first generation's interface, is cheaper than two calls each.
const BULK_FROM: usize = 16;

/// Every how many looks, documents that made no sense are asked for again: at audits of 5 s, once a minute.
const SKIPPED_EVERY: u32 = 12;

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Made by us, or taken over because it is just what we want.
    Us,
    /// Made by others.
    Others,
}

/// An endpoint in HNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEndpoint {
    /// Its addresses.
    pub addresses: SmallVec<[IpAddr; 1]>,
    /// Whether it stands for an address on another node.
    pub remote: bool,
    /// Its name, for endpoints of others.
    pub name: SmolStr,
    /// What it says.
    pub content: Content,
    /// Whose it is.
    pub owner: Owner,
}

impl HeldEndpoint {
    /// The record of a document.
    pub fn of(network: Guid, document: &Endpoint, owner: Owner) -> Self {
        Self {
            addresses: document.addresses().collect(),
            remote: document.is_remote(),
            name: document.name.as_str().into(),
            content: identity::endpoint_content(network, document),
            owner,
        }
    }
}

/// A load balancer in HNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLoadBalancer {
    /// Its frontends: one, unless others made it.
    pub frontends: SmallVec<[Frontend; 1]>,
    /// Its backends.
    pub endpoints: Box<[Guid]>,
    /// What it says.
    pub content: LoadBalancerContent,
    /// Whose it is.
    pub owner: Owner,
}

impl HeldLoadBalancer {
    /// The record of a document.
    pub fn of(document: &LoadBalancer, capabilities: &Capabilities, owner: Owner) -> Self {
        Self {
            frontends: Frontend::of(document).collect(),
            endpoints: document.endpoint_ids().collect(),
            content: identity::load_balancer_content(document, capabilities),
            owner,
        }
    }
}

/// What HNS holds of the network's endpoints and the host's load balancers.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    endpoints: FxHashMap<Guid, HeldEndpoint>,
    at: FxHashMap<IpAddr, SmallVec<[Guid; 1]>>,
    named: FxHashMap<SmolStr, SmallVec<[Guid; 1]>>,
    load_balancers: FxHashMap<Guid, HeldLoadBalancer>,
    on: FxHashMap<Frontend, SmallVec<[Guid; 1]>>,
    /// How many load balancers have an endpoint as backend.
    references: FxHashMap<Guid, usize>,
    /// How many of these are others'.
    users_among_others: FxHashMap<Guid, usize>,
    skipped_endpoints: FxHashMap<Guid, String>,
    skipped_load_balancers: FxHashMap<Guid, String>,
    /// Objects whose id is known not to tell their content: changed in place, or found to say something else.
    distrusted: FxHashSet<Guid>,
    /// Looks so far.
    looks: u32,
}

impl Observed {
    /// An endpoint by its id.
    pub fn endpoint(&self, id: Guid) -> Option<&HeldEndpoint> {
        self.endpoints.get(&id)
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

    /// Whether a load balancer of others has an endpoint as backend.
    pub fn is_used_by_others(&self, endpoint: Guid) -> bool {
        self.users_among_others.get(&endpoint).is_some_and(|count| *count > 0)
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

    /// Notes a load balancer.
    pub fn insert_load_balancer(&mut self, id: Guid, held: HeldLoadBalancer, dirty: &mut Dirty) {
        self.remove_load_balancer(id, dirty);
        dirty.frontends.extend(held.frontends.iter().copied());
        for frontend in &held.frontends {
            self.on.entry(*frontend).or_default().push(id);
        }
        for endpoint in &held.endpoints {
            *self.references.entry(*endpoint).or_default() += 1;
            if held.owner == Owner::Others {
                *self.users_among_others.entry(*endpoint).or_default() += 1;
            }
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
            if held.owner == Owner::Others {
                count_down(&mut self.users_among_others, endpoint);
            }
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
        if let Some(held) = self.load_balancers.get_mut(&id)
            && held.owner == Owner::Others
        {
            held.owner = Owner::Us;
            held.endpoints.iter().for_each(|endpoint| count_down(&mut self.users_among_others, endpoint));
        }
    }

    /// Takes over an endpoint of others that is just what we want.
    pub fn adopt_endpoint(&mut self, id: Guid) {
        if let Some(held) = self.endpoints.get_mut(&id) {
            held.owner = Owner::Us;
        }
    }

    /// Looks at the endpoints of a network. `expected` gives the endpoints that we would make, by id; it is asked for only if an
    /// unknown id is of our making.
    ///
    /// # Errors
    /// HNS's, if it could not be asked. What was learned until then stays.
    pub fn look_at_endpoints(
        &mut self,
        client: &Client,
        network: Guid,
        expected: impl FnOnce() -> FxHashMap<Guid, Endpoint>,
        dirty: &mut Dirty,
    ) -> Result<(), Error> {
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(SKIPPED_EVERY) {
            self.skipped_endpoints.clear();
            self.skipped_load_balancers.clear();
        }
        let mut listed = client.endpoints(network)?;
        let present: FxHashSet<Guid> = listed.iter().map(|listed| listed.id).collect();
        let gone: Vec<Guid> = self.endpoints.keys().filter(|id| !present.contains(id)).copied().collect();
        gone.into_iter().for_each(|id| self.remove_endpoint(id, dirty));

        self.skipped_endpoints.retain(|id, _| present.contains(id));
        let known = |id: &Guid| self.endpoints.contains_key(id) || self.skipped_endpoints.contains_key(id);
        listed.retain(|listed| !known(&listed.id));
        let expected =
            if listed.iter().any(|listed| identity::is_ours(listed.id)) { expected() } else { FxHashMap::default() };
        listed.retain(|listed| match expected.get(&listed.id) {
            Some(_) if self.distrusted.contains(&listed.id) => true,
            Some(document) => {
                self.insert_endpoint(listed.id, HeldEndpoint::of(network, document, Owner::Us), dirty);
                false
            }
            None => true,
        });
        if listed.len() > BULK_FROM && listed.iter().all(|listed| listed.document.is_none()) {
            // Where the list of all fails, each is asked for.
            let mut bulk: FxHashMap<Guid, _> =
                client.endpoints_in_bulk(network).unwrap_or_default().into_iter().map(|l| (l.id, l.document)).collect();
            for one in &mut listed {
                one.document = bulk.remove(&one.id).flatten();
            }
        }
        for Listed { id, document } in listed {
            let document = document.map_or_else(|| look(client.endpoint(id)), |known| Ok(Some(known)))?;
            match document {
                None => {}
                Some(Ok(document)) if document.addresses().next().is_none() => {
                    self.skipped_endpoints.insert(id, "endpoint: has no address".into());
                }
                Some(Ok(document)) => {
                    let owner = if identity::is_ours(id) { Owner::Us } else { Owner::Others };
                    self.insert_endpoint(id, HeldEndpoint::of(network, &document, owner), dirty);
                }
                Some(Err(reason)) => {
                    self.skipped_endpoints.insert(id, format!("endpoint: {reason}"));
                }
            }
        }
        Ok(())
    }

    /// Looks at all load balancers. `expected` gives those that we would make, by id, as [`look_at_endpoints`](Self::look_at_endpoints).
    ///
    /// # Errors
    /// HNS's, if it could not be asked. What was learned until then stays.
    pub fn look_at_load_balancers(
        &mut self,
        client: &Client,
        capabilities: &Capabilities,
        expected: impl FnOnce(&Self) -> FxHashMap<Guid, LoadBalancer>,
        dirty: &mut Dirty,
    ) -> Result<(), Error> {
        // At the first look at an HNS that can modify, the backends of each load balancer are wanted too: its id may be older than
        // they are. The list of the first generation has them.
        let bulk = if self.load_balancers.is_empty() && capabilities.modify {
            client.load_balancers_in_bulk().ok()
        } else {
            None
        };
        let in_bulk = bulk.is_some();
        let mut listed = match bulk {
            Some(listed) => listed,
            None => client.load_balancers()?,
        };
        let present: FxHashSet<Guid> = listed.iter().map(|listed| listed.id).collect();
        let gone: Vec<Guid> = self.load_balancers.keys().filter(|id| !present.contains(id)).copied().collect();
        gone.into_iter().for_each(|id| self.remove_load_balancer(id, dirty));

        self.skipped_load_balancers.retain(|id, _| present.contains(id));
        let known = |id: &Guid| self.load_balancers.contains_key(id) || self.skipped_load_balancers.contains_key(id);
        listed.retain(|listed| !known(&listed.id));
        let expected: FxHashMap<Lineage, (Guid, LoadBalancer)> =
            if listed.iter().any(|listed| identity::is_ours(listed.id)) {
                expected(self).into_iter().map(|(id, document)| (Lineage::of(id), (id, document))).collect()
            } else {
                FxHashMap::default()
            };
        for Listed { id, document } in listed {
            let relative = expected.get(&Lineage::of(id)).filter(|_| !self.distrusted.contains(&id));
            let document = match (document, relative) {
                // Its id tells all but the backends, the list tells these.
                (Some(Ok(listed)), Some((_, expected))) if in_bulk => {
                    let host_compute_endpoints = listed.host_compute_endpoints;
                    Some(Ok(LoadBalancer { host_compute_endpoints, ..expected.clone() }))
                }
                (Some(known), _) if !in_bulk => Some(known),
                // Where nothing was changed in place, the id tells everything.
                (None, Some((same, expected))) if *same == id && !capabilities.modify => Some(Ok(expected.clone())),
                _ => look(client.load_balancer(id))?,
            };
            match document {
                None => {}
                Some(Ok(document)) if document.port_mappings.is_empty() => {
                    self.skipped_load_balancers.insert(id, "load balancer without a port mapping".into());
                }
                Some(Ok(document)) => {
                    let owner = if identity::is_ours(id) { Owner::Us } else { Owner::Others };
                    self.insert_load_balancer(id, HeldLoadBalancer::of(&document, capabilities, owner), dirty);
                }
                Some(Err(reason)) => {
                    self.skipped_load_balancers.insert(id, format!("load balancer: {reason}"));
                }
            }
        }
        Ok(())
    }
}

/// The result of looking at one object: its document, `None` where it has vanished, or why it makes no sense.
fn look<T>(result: Result<T, Error>) -> Result<Option<Result<T, String>>, Error> {
    match result {
        Ok(document) => Ok(Some(Ok(document))),
        Err(Error::Document { reason, .. }) => Ok(Some(Err(reason))),
        Err(error) if error.class() == Class::Absent => Ok(None),
        Err(error) => Err(error),
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
