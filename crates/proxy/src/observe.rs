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
use crate::identity::{self, Content, LoadBalancerContent};
use crate::settings::Capabilities;

/// Beyond so many unknown endpoints one list of all documents, by the first generation's interface, is cheaper than two calls each.
const BULK_FROM: usize = 16;

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
    named: FxHashMap<SmolStr, Guid>,
    load_balancers: FxHashMap<Guid, HeldLoadBalancer>,
    on: FxHashMap<Frontend, SmallVec<[Guid; 1]>>,
    references: FxHashMap<Guid, usize>,
    skipped: FxHashMap<Guid, String>,
    /// Load balancers that were changed in place: their ids tell an old content.
    distrusted: FxHashSet<Guid>,
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
        self.named.get(name).copied()
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

    /// All frontends that have a load balancer of ours.
    pub fn frontends_of_ours(&self) -> impl Iterator<Item = Frontend> {
        let ours = self.load_balancers.values().filter(|held| held.owner == Owner::Us);
        ours.flat_map(|held| held.frontends.iter().copied())
    }

    /// Documents that made no sense, and why.
    pub fn skipped(&self) -> impl Iterator<Item = (Guid, &str)> {
        self.skipped.iter().map(|(id, reason)| (*id, reason.as_str()))
    }

    /// How many endpoints and load balancers are held.
    pub fn counts(&self) -> (usize, usize) {
        (self.endpoints.len(), self.load_balancers.len())
    }

    /// Notes an endpoint.
    pub fn insert_endpoint(&mut self, id: Guid, endpoint: HeldEndpoint, dirty: &mut Dirty) {
        self.remove_endpoint(id, dirty);
        dirty.addresses.extend(endpoint.addresses.iter().copied());
        for address in &endpoint.addresses {
            self.at.entry(*address).or_default().push(id);
        }
        if !endpoint.remote && !endpoint.name.is_empty() {
            self.named.entry(endpoint.name.clone()).or_insert(id);
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
        if self.named.get(&endpoint.name) == Some(&id) {
            self.named.remove(&endpoint.name);
        }
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
            if let Some(count) = self.references.get_mut(endpoint) {
                *count -= 1;
                if *count == 0 {
                    self.references.remove(endpoint);
                }
            }
        }
    }

    /// Notes that a load balancer was changed in place, so that its id no longer tells its content.
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
        let mut listed = client.endpoints(network)?;
        let present: FxHashSet<Guid> = listed.iter().map(|listed| listed.id).collect();
        let gone: Vec<Guid> = self.endpoints.keys().filter(|id| !present.contains(id)).copied().collect();
        gone.into_iter().for_each(|id| self.remove_endpoint(id, dirty));

        listed.retain(|listed| !self.endpoints.contains_key(&listed.id) && !self.skipped.contains_key(&listed.id));
        let expected =
            if listed.iter().any(|listed| identity::is_ours(listed.id)) { expected() } else { FxHashMap::default() };
        listed.retain(|listed| match expected.get(&listed.id) {
            Some(document) => {
                self.insert_endpoint(listed.id, HeldEndpoint::of(network, document, Owner::Us), dirty);
                false
            }
            None => true,
        });
        if listed.len() > BULK_FROM && listed.iter().all(|listed| listed.document.is_none()) {
            let unknown: FxHashSet<Guid> = listed.iter().map(|listed| listed.id).collect();
            if let Ok(bulk) = client.endpoints_in_bulk(network) {
                listed.retain(|one| bulk.iter().all(|other| other.id != one.id) || !unknown.contains(&one.id));
                listed.extend(bulk.into_iter().filter(|one| unknown.contains(&one.id)));
            }
        }
        for Listed { id, document } in listed {
            let document = document.map_or_else(|| look(client.endpoint(id)), |known| Ok(Some(known)))?;
            match document {
                None => {}
                Some(Ok(document)) => {
                    let owner = if identity::is_ours(id) { Owner::Us } else { Owner::Others };
                    self.insert_endpoint(id, HeldEndpoint::of(network, &document, owner), dirty);
                }
                Some(Err(reason)) => {
                    self.skipped.insert(id, format!("endpoint: {reason}"));
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
        let mut listed = client.load_balancers()?;
        let present: FxHashSet<Guid> = listed.iter().map(|listed| listed.id).collect();
        let gone: Vec<Guid> = self.load_balancers.keys().filter(|id| !present.contains(id)).copied().collect();
        gone.into_iter().for_each(|id| self.remove_load_balancer(id, dirty));

        listed.retain(|listed| !self.load_balancers.contains_key(&listed.id) && !self.skipped.contains_key(&listed.id));
        let expected = if listed.iter().any(|listed| identity::is_ours(listed.id)) {
            expected(self)
        } else {
            FxHashMap::default()
        };
        for Listed { id, document } in listed {
            let document = match (document, expected.get(&id).filter(|_| !self.distrusted.contains(&id))) {
                (Some(known), _) => Some(known),
                (None, Some(document)) => Some(Ok(document.clone())),
                (None, None) => look(client.load_balancer(id))?,
            };
            match document {
                None => {}
                Some(Ok(document)) if document.port_mappings.is_empty() => {
                    self.skipped.insert(id, "load balancer without a port mapping".into());
                }
                Some(Ok(document)) => {
                    let owner = if identity::is_ours(id) { Owner::Us } else { Owner::Others };
                    self.insert_load_balancer(id, HeldLoadBalancer::of(&document, capabilities, owner), dirty);
                }
                Some(Err(reason)) => {
                    self.skipped.insert(id, format!("load balancer: {reason}"));
                }
            }
        }
        self.skipped.retain(|id, reason| present.contains(id) || !reason.starts_with("load balancer"));
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

fn remove_from<K: std::hash::Hash + Eq>(index: &mut FxHashMap<K, SmallVec<[Guid; 1]>>, key: &K, id: Guid) {
    if let Some(ids) = index.get_mut(key) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}
