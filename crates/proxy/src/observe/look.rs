//! Looking: the lists of both kinds, and the documents of what is new.

use hcn::client::Listed;
use hcn::schema::{Endpoint, LoadBalancer};
use hcn::{Class, Client, Error, Guid};
use rustc_hash::{FxHashMap, FxHashSet};

use super::drift::{Cause, Found};
use super::{HeldEndpoint, HeldLoadBalancer, Observed, Owner};
use crate::identity::{self, Lineage};
use crate::plan::Subject;
use crate::settings::Capabilities;

/// Beyond so many unknown endpoints one list of all documents, by the first generation's interface, is cheaper than two calls each.
const BULK_FROM: usize = 16;

/// An endpoint of a list, and the network that it is in.
pub type ListedEndpoint = (Guid, Listed<Endpoint>);

/// How closely objects that are known already are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrutiny {
    /// Whether they are there.
    Ids,
    /// Also whether others have changed them in place, as far as the first generation's list shows it. No call more.
    Contents,
}

impl Observed {
    /// Takes a list of the endpoints of all networks, each with the network that it is in, and reads what is unknown of these. `expected`
    /// gives the endpoints that we would make, by id; it is asked for only if an unknown id is of our making.
    ///
    /// # Errors
    /// HNS's, if it could not be asked. What was learned until then stays.
    pub fn look_at_endpoints(
        &mut self,
        client: &Client,
        mut listed: Vec<ListedEndpoint>,
        expected: impl FnOnce() -> FxHashMap<Guid, HeldEndpoint>,
        found: &mut Found,
    ) -> Result<(), Error> {
        let present: FxHashSet<Guid> = listed.iter().map(|(_, listed)| listed.id).collect();
        let gone: Vec<Guid> = self.endpoints.keys().filter(|id| !present.contains(id)).copied().collect();
        for id in gone {
            if let Some(held) = self.endpoints.get(&id).filter(|held| held.owner == Owner::Us && held.remote) {
                found.note(Cause::EndpointLost, held.addresses.iter().map(|address| Subject::Address(*address)));
            }
            self.remove_endpoint(id, &mut found.dirty);
        }

        self.verify_endpoints(client, &listed, found)?;
        self.skipped_endpoints.retain(|id, _| present.contains(id));
        let known = |id: &Guid| self.endpoints.contains_key(id) || self.skipped_endpoints.contains_key(id);
        listed.retain(|(_, listed)| !known(&listed.id));
        let any_of_ours = listed.iter().any(|(_, listed)| identity::is_ours(listed.id));
        let mut expected = if any_of_ours { expected() } else { FxHashMap::default() };
        listed.retain(|(network, listed)| match expected.remove(&listed.id) {
            Some(_) if self.distrusted.contains(&listed.id) => true,
            Some(held) if held.network == *network => {
                self.find_endpoint(listed.id, held, found);
                false
            }
            _ => true,
        });
        if listed.len() > BULK_FROM && listed.iter().all(|(_, listed)| listed.document.is_none()) {
            // Where the list of all fails, each is asked for.
            let bulk = client.endpoints_in_bulk().unwrap_or_default();
            let mut bulk: FxHashMap<Guid, _> = bulk.into_iter().map(|l| (l.id, l.document)).collect();
            for (_, one) in &mut listed {
                one.document = bulk.remove(&one.id).flatten();
            }
        }
        for (network, Listed { id, document }) in listed {
            let document = document.map_or_else(|| look(client.endpoint(id)), |known| Ok(Some(known)))?;
            match document {
                None => {}
                Some(Ok(document)) if document.addresses().next().is_none() => {
                    self.skipped_endpoints.insert(id, "endpoint: has no address".into());
                }
                Some(Ok(document)) => {
                    let owner = if identity::is_ours(id) { Owner::Us } else { Owner::Others };
                    self.find_endpoint(id, HeldEndpoint::of(network, &document, owner), found);
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
        scrutiny: Scrutiny,
        expected: impl FnOnce(&Self) -> FxHashMap<Guid, LoadBalancer>,
        found: &mut Found,
    ) -> Result<(), Error> {
        // At the first look at an HNS that can modify, the backends of each load balancer are wanted too: its id may be older than
        // they are. The list of the first generation has them.
        let first = !self.load_balancers_known;
        let contents = first || scrutiny == Scrutiny::Contents;
        let bulk = if contents && capabilities.modify { client.load_balancers_in_bulk().ok() } else { None };
        let mut in_bulk = bulk.is_some();
        let mut listed = match bulk {
            Some(listed) => listed,
            None => client.load_balancers()?,
        };
        let present: FxHashSet<Guid> = listed.iter().map(|listed| listed.id).collect();
        let gone: Vec<Guid> = self.load_balancers.keys().filter(|id| !present.contains(id)).copied().collect();
        for id in gone {
            if let Some(held) = self.load_balancers.get(&id).filter(|held| held.owner == Owner::Us) {
                found.note(Cause::LoadBalancerLost, held.frontends.iter().map(|frontend| Subject::Frontend(*frontend)));
            }
            self.remove_load_balancer(id, &mut found.dirty);
        }

        if in_bulk {
            self.verify_load_balancers(client, capabilities, &listed, found)?;
        }
        self.skipped_load_balancers.retain(|id, _| present.contains(id));
        let known = |id: &Guid| self.load_balancers.contains_key(id) || self.skipped_load_balancers.contains_key(id);
        listed.retain(|listed| !known(&listed.id));
        let expected: FxHashMap<Lineage, (Guid, LoadBalancer)> =
            if listed.iter().any(|listed| identity::is_ours(listed.id)) {
                expected(self).into_iter().map(|(id, document)| (Lineage::of(id), (id, document))).collect()
            } else {
                FxHashMap::default()
            };
        if !first && listed.len() > BULK_FROM && listed.iter().all(|listed| listed.document.is_none()) {
            // Many are back at once: the same list is cheaper than two calls each.
            if let Ok(bulk) = client.load_balancers_in_bulk() {
                let mut bulk: FxHashMap<Guid, _> = bulk.into_iter().map(|l| (l.id, l.document)).collect();
                listed.iter_mut().for_each(|one| one.document = bulk.remove(&one.id).flatten());
                in_bulk = true;
            }
        }
        for Listed { id, document } in listed {
            let relative = expected.get(&Lineage::of(id)).filter(|_| !self.distrusted.contains(&id));
            let document = match (document, relative) {
                // Its id tells all but the backends, the list tells these.
                (Some(Ok(listed)), Some((_, expected))) if in_bulk => {
                    let host_compute_endpoints = listed.host_compute_endpoints;
                    Some(Ok(LoadBalancer { host_compute_endpoints, ..expected.clone() }))
                }
                (Some(known), _) if !in_bulk => Some(known),
                // Where nothing was changed in place, the id tells everything. What comes back later may have been.
                (None, Some((same, expected))) if *same == id && first && !capabilities.modify => {
                    Some(Ok(expected.clone()))
                }
                _ => look(client.load_balancer(id))?,
            };
            match document {
                None => {}
                Some(Ok(document)) if document.port_mappings.is_empty() => {
                    self.skipped_load_balancers.insert(id, "load balancer without a port mapping".into());
                }
                Some(Ok(document)) => {
                    let owner = if identity::is_ours(id) { Owner::Us } else { Owner::Others };
                    self.find_load_balancer(id, HeldLoadBalancer::of(&document, capabilities, owner), found);
                }
                Some(Err(reason)) => {
                    self.skipped_load_balancers.insert(id, format!("load balancer: {reason}"));
                }
            }
        }
        self.load_balancers_known = true;
        self.prune_distrusted();
        Ok(())
    }

    /// Whether a list lacks an endpoint that is known.
    pub fn lacks_endpoints(&self, listed: &[ListedEndpoint]) -> bool {
        let present: FxHashSet<Guid> = listed.iter().map(|(_, listed)| listed.id).collect();
        self.endpoints.keys().any(|id| !present.contains(id))
    }

    /// Has documents that made no sense asked for again at the next look.
    pub fn forget_skipped(&mut self) {
        self.skipped_endpoints.clear();
        self.skipped_load_balancers.clear();
    }

    /// Notes an endpoint that was not known.
    fn find_endpoint(&mut self, id: Guid, held: HeldEndpoint, found: &mut Found) {
        if held.owner == Owner::Us && held.remote {
            found.note(Cause::EndpointReappeared, held.addresses.iter().map(|address| Subject::Address(*address)));
        }
        self.insert_endpoint(id, held, &mut found.dirty);
    }

    /// Notes a load balancer that was not known.
    fn find_load_balancer(&mut self, id: Guid, held: HeldLoadBalancer, found: &mut Found) {
        let cause = match held.owner {
            Owner::Us => Cause::LoadBalancerReappeared,
            Owner::Others => Cause::FrontendTaken,
        };
        found.note(cause, held.frontends.iter().map(|frontend| Subject::Frontend(*frontend)));
        self.insert_load_balancer(id, held, &mut found.dirty);
    }

    /// What is gone is not trusted by its id alone when it comes back, whatever is remembered of it.
    fn prune_distrusted(&mut self) {
        let (endpoints, load_balancers) = (&self.endpoints, &self.load_balancers);
        let is_known = |id: &Guid| endpoints.contains_key(id) || load_balancers.contains_key(id);
        self.distrusted.retain(is_known);
        self.listed_otherwise.retain(is_known);
    }
}

/// The result of looking at one object: its document, `None` where it has vanished, or why it makes no sense.
pub(super) fn look<T>(result: Result<T, Error>) -> Result<Option<Result<T, String>>, Error> {
    match result {
        Ok(document) => Ok(Some(Ok(document))),
        Err(Error::Document { reason, .. }) => Ok(Some(Err(reason))),
        Err(error) if error.class() == Class::Absent => Ok(None),
        Err(error) => Err(error),
    }
}
