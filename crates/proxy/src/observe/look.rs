//! Looking: the lists of both kinds, and the documents of what is new.

use hcn::client::Listed;
use hcn::schema::LoadBalancer;
use hcn::{Class, Client, Error, Guid};
use rustc_hash::{FxHashMap, FxHashSet};

use super::drift::{Cause, Found};
use super::{HeldEndpoint, HeldLoadBalancer, Observed, Owner};
use crate::identity::{self, Lineage};
use crate::plan::Subject;
use crate::settings::Capabilities;

/// Beyond so many unread objects one list of all documents, by the first generation's interface, may be cheaper than two calls each.
const BULK_FROM: usize = 16;
/// The list is worth so many documents that are of no use for each unread object.
const DOCUMENTS_FOR_ONE: usize = 512;

/// So many objects are looked at for what they say, not only whether they are there.
const CONTENTS_AT_MOST: usize = 16_384;

/// An endpoint of a list, and the network that it is in.
pub type ListedEndpoint = (Guid, Listed<HeldEndpoint>);

/// How closely objects that are known already are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrutiny {
    /// Whether they are there.
    Ids,
    /// Also whether others have changed them in place, as far as the first generation's list shows it. No call more.
    Contents,
}

impl Scrutiny {
    /// How closely to look at so many objects when their turn has come: a list of more documents than 16 384 would take
    /// HNS long to write, and us tens of MB to read, for what next to never happens.
    pub fn of(objects: usize) -> Self {
        if objects <= CONTENTS_AT_MOST { Self::Contents } else { Self::Ids }
    }
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
        if is_cheaper_in_bulk(listed.len(), present.len()) && listed.iter().all(|(_, listed)| listed.document.is_none())
        {
            let mut unread: FxHashMap<Guid, &mut ListedEndpoint> =
                listed.iter_mut().map(|one| (one.1.id, one)).collect();
            // Where the list of all fails, each is asked for.
            let _ = client.endpoints_from_v1_list(|bulk| {
                let (network, one) = unread.remove(&bulk.id)?;
                let record = |id, document| Ok(HeldEndpoint::of(*network, &document, owner_of(id)));
                one.document = bulk.and_then(record).document;
                None::<()>
            });
        }
        for (network, Listed { id, document }) in listed {
            let read = || {
                let found = look(client.endpoint(id))?;
                Ok(found.map(|found| found.map(|document| HeldEndpoint::of(network, &document, owner_of(id)))))
            };
            match document.map_or_else(read, |known| Ok(Some(known)))? {
                None => {}
                Some(Ok(held)) if held.addresses.is_empty() => {
                    self.skipped_endpoints.insert(id, "endpoint: has no address".into());
                }
                Some(Ok(held)) => self.find_endpoint(id, held, found),
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
        expected: impl FnOnce(&Self) -> FxHashMap<Guid, HeldLoadBalancer>,
        found: &mut Found,
    ) -> Result<(), Error> {
        // At the first look at an HNS that can modify, the backends of each load balancer are wanted too: its id may be older than
        // they are. The list of the first generation has them.
        let first = !self.load_balancers_known;
        let contents = first || scrutiny == Scrutiny::Contents;
        let record = |id, document: LoadBalancer| {
            let held = HeldLoadBalancer::of(&document, capabilities, owner_of(id));
            if document.port_mappings.is_empty() { Err("has no port mapping".to_owned()) } else { Ok(held) }
        };
        // What this list can't say of it is read.
        let record_of_bulk = |id, document: LoadBalancer| {
            let held = HeldLoadBalancer::listed(&document, owner_of(id));
            let all_read = held.endpoints.len() == document.host_compute_endpoints.len();
            if all_read && !document.port_mappings.is_empty() { Ok(held) } else { Err("is not clear".to_owned()) }
        };
        let bulk = if contents && capabilities.modify {
            client.load_balancers_from_v1_list(|listed| Some(listed.and_then(record_of_bulk))).ok()
        } else {
            None
        };
        let mut in_bulk = bulk.is_some();
        let mut listed = match bulk {
            Some(listed) => listed,
            None => client.load_balancers(|listed| Some(listed.and_then(record)))?,
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
        let expected: FxHashMap<Lineage, (Guid, HeldLoadBalancer)> =
            if listed.iter().any(|listed| identity::is_ours(listed.id)) {
                expected(self).into_iter().map(|(id, held)| (Lineage::of(id), (id, held))).collect()
            } else {
                FxHashMap::default()
            };
        if !first
            && is_cheaper_in_bulk(listed.len(), present.len())
            && listed.iter().all(|listed| listed.document.is_none())
        {
            // Many are back at once.
            let mut unread: FxHashMap<Guid, _> = listed.iter_mut().map(|one| (one.id, &mut one.document)).collect();
            let fill = |bulk: Listed<LoadBalancer>| {
                let document = unread.remove(&bulk.id)?;
                *document = bulk.and_then(record_of_bulk).document;
                None::<()>
            };
            in_bulk = client.load_balancers_from_v1_list(fill).is_ok();
        }
        for Listed { id, document } in listed {
            let relative = expected.get(&Lineage::of(id)).filter(|_| !self.distrusted.contains(&id));
            let held = match (document, relative) {
                // Its id tells all but the backends, the list tells these.
                (Some(Ok(listed)), Some((_, expected))) if in_bulk => {
                    Some(Ok(expected.with_backends(listed.endpoints, capabilities)))
                }
                (Some(known), _) if !in_bulk => Some(known),
                // Where nothing was changed in place, the id tells everything. What comes back later may have been.
                (None, Some((same, expected))) if *same == id && first && !capabilities.modify => {
                    Some(Ok(expected.clone()))
                }
                _ => look(client.load_balancer(id))
                    .map(|found| found.map(|found| found.and_then(|document| record(id, document))))?,
            };
            match held {
                None => {}
                Some(Ok(held)) => self.find_load_balancer(id, held, found),
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
        listed.iter().filter(|(_, listed)| self.endpoints.contains_key(&listed.id)).count() < self.endpoints.len()
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

/// Whether to have so many unread objects of all that are looked at listed with their documents: one call instead of two for each, but one
/// that HNS writes, and we read, all others' documents for.
fn is_cheaper_in_bulk(unread: usize, all: usize) -> bool {
    unread > BULK_FROM && unread.saturating_mul(DOCUMENTS_FOR_ONE) >= all
}

/// Whose an object is, as far as its id tells.
pub(crate) fn owner_of(id: Guid) -> Owner {
    if identity::is_ours(id) { Owner::Us } else { Owner::Others }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_all_documents_is_read_where_it_saves_calls_and_is_not_out_of_proportion() {
        assert!(!is_cheaper_in_bulk(BULK_FROM, BULK_FROM));
        assert!(is_cheaper_in_bulk(BULK_FROM + 1, BULK_FROM + 1));
        assert!(is_cheaper_in_bulk(20, 20 * DOCUMENTS_FOR_ONE));
        assert!(!is_cheaper_in_bulk(20, 20 * DOCUMENTS_FOR_ONE + 1));
        assert_eq!(Scrutiny::of(CONTENTS_AT_MOST), Scrutiny::Contents);
        assert_eq!(Scrutiny::of(CONTENTS_AT_MOST + 1), Scrutiny::Ids);
    }
}
