//! Updates the observed state from lists of HNS, and reads the documents of new objects.

use hcn::client::Listed;
use hcn::schema::LoadBalancer;
use hcn::{ApiVersion, Client, Error, Guid, Kind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::drift::{Cause, Findings};
use super::expected::Expected;
use super::read::{DeferrableReads, Extent, readable_or_absent};
use super::record::{endpoint_record, record_of, record_of_v1_list, skipped};
use super::skipped::SkippedObject;
use super::v1_lists::{self, fill_from_v1_list, is_v1_list_cheaper};
use super::{Observed, ObservedEndpoint, ObservedLoadBalancer, Owner};
use crate::dirty::Subject;
use crate::identity::{self, Lineage};
use crate::network::Contradiction;
use crate::settings::Capabilities;

/// Above this number of objects, an audit reads a few of them instead of a list of all contents, which would have tens of megabytes. Other
/// programs rarely modify objects in place.
const MAX_CONTENTS: usize = 16_384;

/// An endpoint of a list, and the network that it is in.
pub type ListedEndpoint = (Guid, Listed<ObservedEndpoint>);

/// What an audit compares of the objects that are known already. Each list is one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListDetail {
    /// Whether they exist.
    Ids,
    /// Also whether other programs modified them in place, as far as the v1 lists show it.
    Contents,
    /// The same as [`Ids`](Self::Ids). In addition, a sample of the objects is read.
    Sample,
}

impl ListDetail {
    /// The detail for a number of objects whose contents are due.
    pub fn for_contents_of(objects: usize) -> Self {
        if objects <= MAX_CONTENTS { Self::Contents } else { Self::Sample }
    }
}

/// The load balancers of the host, and the list that they are from.
pub(super) struct LoadBalancerList {
    pub(super) listed: Vec<Listed<ObservedLoadBalancer>>,
    /// Whether the documents are from the v1 list, in which only frontends and backends are reliable.
    pub(super) from_v1_list: bool,
}

impl Observed {
    /// Applies a list of the endpoints of all networks, and reads those that are new. `expected` gives the endpoints
    /// that we would create, by id; it is expensive, and called only if the list has an unknown id of ours.
    ///
    /// # Errors
    /// The error of HNS, if a read fails. The list itself, and what was read before, stay in the observed state.
    pub fn refresh_endpoints(
        &mut self,
        client: &Client,
        mut listed: Vec<ListedEndpoint>,
        detail: ListDetail,
        expected: impl FnOnce() -> FxHashMap<Guid, ObservedEndpoint>,
        mut reads: DeferrableReads,
        findings: &mut Findings,
    ) -> Result<Extent, Error> {
        let present: FxHashSet<Guid> = listed.iter().map(|(_, listed)| listed.id).collect();
        self.remove_absent_endpoints(&present, findings);
        self.distrust_kept(Kind::Endpoint, &present);
        let mut extent = self.verify_endpoints(client, &listed, detail, &mut reads, findings)?;
        // A skipped object is a condition of the host, which is resolved when another program deletes the object.
        self.skipped_endpoints.retain(&present);
        let known = |id: &Guid| {
            self.endpoints.contains_key(id) && !self.is_verification_due(Kind::Endpoint, *id)
                || self.skipped_endpoints.is_current(id)
        };
        listed.retain(|(_, listed)| !known(&listed.id));

        // If an id equals the one that hnsproxy would use now, the content is known, and the document need not be read.
        // A restart with an unchanged cluster is therefore cheap.
        let any_of_ours = listed.iter().any(|(_, listed)| identity::is_ours(listed.id));
        let mut expected = if any_of_ours { expected() } else { FxHashMap::default() };
        // The document of the HNS v1 API is an entry of this list: a read would find the same.
        let is_v1 = client.api_version() == ApiVersion::V1;
        if !is_v1 {
            self.verify_v1_endpoints(client, &mut listed, &expected)?;
            if !self.v1_lists.trusts(Kind::Endpoint) {
                listed.iter_mut().for_each(|(_, listed)| listed.document = None);
            }
        }
        let is_unexpected = |id: &Guid| identity::is_ours(*id) && !expected.contains_key(id);
        let unexpected: FxHashSet<Guid> = present.iter().copied().filter(is_unexpected).collect();
        listed.retain_mut(|(network, listed)| match expected.remove(&listed.id) {
            // The v1 list can be wrong, so the endpoint is read on its own.
            Some(known) if self.is_id_in_doubt(listed, &known, &unexpected) => {
                listed.document = listed.document.take().filter(|_| is_v1);
                true
            }
            Some(endpoint) if endpoint.network == *network => {
                self.add_listed_endpoint(listed.id, endpoint, findings);
                false
            }
            _ => true,
        });

        let without_documents = listed.iter().all(|(_, listed)| listed.document.is_none());
        let mut filled = false;
        if is_v1_list_cheaper(listed.len(), present.len()) && without_documents && self.v1_lists.trusts(Kind::Endpoint)
        {
            let mut unread: FxHashMap<Guid, &mut ListedEndpoint> =
                listed.iter_mut().map(|one| (one.1.id, one)).collect();
            // The v1 list only saves calls. If it fails, each endpoint is read on its own.
            let fill = client.endpoints_from_v1_list(|document| {
                let (network, one) = unread.remove(&document.id)?;
                one.document = document.and_then(|id, document| endpoint_record(*network, id, &document)).document;
                None::<()>
            });
            filled = fill.is_ok();
        }
        for (network, Listed { id, document }) in listed {
            let read = || {
                let document = readable_or_absent(client.endpoint(id))?;
                Ok(document.map(|read| read.and_then(|document| endpoint_record(network, id, &document))))
            };
            let lacked = filled && document.is_none();
            // What cannot be read in the v1 list may be readable in its own document.
            let listed = document.filter(|document| document.is_ok() || is_v1);
            let is_known = self.endpoints.contains_key(&id);
            if listed.is_none() && !reads.take(id, is_known) {
                extent = Extent::Part;
                continue;
            }
            let is_taken = listed.is_some() && !is_v1;
            match listed.map_or_else(read, |known| Ok(Some(known)))? {
                // It was deleted between the list and the read.
                None => {
                    self.skipped_endpoints.remove(&id);
                    reads.restore(id, is_known);
                }
                // What is known of it stays, and the node is not ready.
                Some(Err(_)) if is_known => {
                    self.unverified.insert(id);
                }
                // Nothing can be programmed for an endpoint without an address, and it cannot be indexed by address.
                Some(Ok(endpoint)) if endpoint.addresses.is_empty() => {
                    self.remove_endpoint(id, &mut findings.dirty);
                    let reason = "endpoint: missing address".into();
                    self.skipped_endpoints.insert(id, SkippedObject::new(reason, None));
                }
                Some(Ok(endpoint)) => {
                    // The enumeration before the v1 list had it, and the read after it too.
                    if lacked {
                        self.v1_lists.distrust(Kind::Endpoint, Contradiction::Lacks(id));
                    }
                    self.add_listed_endpoint(id, endpoint, findings);
                    if is_taken {
                        self.v1_lists.take(Kind::Endpoint, id);
                    }
                }
                Some(Err(reason)) => {
                    let reason = format!("endpoint: {reason}");
                    self.skipped_endpoints.insert(id, SkippedObject::new(reason, None));
                }
            }
        }
        if extent == Extent::All {
            self.end_uncertainty(Kind::Endpoint);
        }
        Ok(extent)
    }

    /// Lists all load balancers, and reads those that are new. `expected` gives those that we would create, by id, as for
    /// [`refresh_endpoints`](Self::refresh_endpoints).
    ///
    /// # Errors
    /// The error of HNS, if the list or a read fails. If the list fails, nothing changes.
    pub fn refresh_load_balancers(
        &mut self,
        client: &Client,
        capabilities: &Capabilities,
        detail: ListDetail,
        expected: impl FnOnce(&Self) -> FxHashMap<Guid, ObservedLoadBalancer>,
        mut reads: DeferrableReads,
        findings: &mut Findings,
    ) -> Result<Extent, Error> {
        let first = !self.load_balancers_known;
        // The first list also needs the backends if HNS can modify in place, because ids can then be out of date.
        let detail = if first { ListDetail::Contents } else { detail };
        let mut expected = Expected::new(expected);
        let mut list = self.list_load_balancers(client, capabilities, detail, &mut expected)?;
        self.confirm_absent_load_balancers(client, &mut list.listed)?;
        let present: FxHashSet<Guid> = list.listed.iter().map(|listed| listed.id).collect();
        self.remove_absent_load_balancers(&present, findings);
        self.distrust_kept(Kind::LoadBalancer, &present);
        let mut extent = self.verify_load_balancers(client, capabilities, &list, detail, &mut reads, findings)?;
        let LoadBalancerList { mut listed, mut from_v1_list } = list;
        self.retain_skipped_load_balancers(&present, &mut findings.dirty);
        let known = |id: &Guid| {
            self.load_balancers.contains_key(id)
                && !self.perhaps_adopted.contains_key(id)
                && !self.is_verification_due(Kind::LoadBalancer, *id)
                || self.skipped_load_balancers.is_current(id)
        };
        listed.retain(|listed| !known(&listed.id));

        // The entries of foreign ones lack affinity and most flags, so they are not used.
        let ours = listed.iter().filter(|listed| identity::is_ours(listed.id)).count();
        let none = FxHashMap::default();
        let expected = if ours > 0 { expected.get(self) } else { &none };
        // For the first list, the v1 list was already read above if it is useful; otherwise ids are enough.
        let without_documents = listed.iter().all(|listed| listed.document.is_none());
        let mut filled = false;
        if !first
            && is_v1_list_cheaper(ours, present.len())
            && without_documents
            && self.v1_lists.trusts(Kind::LoadBalancer)
        {
            filled = fill_from_v1_list(client, &mut listed);
            from_v1_list = filled;
        }
        let is_trusted = self.v1_lists.trusts(Kind::LoadBalancer);
        if from_v1_list && !(is_trusted && self.is_v1_list_right(client, &listed, expected)?) {
            listed.iter_mut().for_each(|listed| listed.document = None);
            (filled, from_v1_list) = (false, false);
        }
        // The id is sufficient only in the first list. An object that disappeared and reappeared may have been created
        // by another program with the same id.
        let id_tells_backends = first && !capabilities.may_be_modified;
        for Listed { id, document } in listed {
            let lacked = filled && document.is_none();
            let relative = expected.get(&Lineage::of(id)).filter(|_| !self.untrusted_ids.contains(&id));
            let known = match (document, relative) {
                // The v1 list has no affinity and few flags, so only its backends are reliable. The id tells the rest, and stays valid when
                // backends are modified in place. If the list shows another frontend or port, the id is wrong.
                (Some(Ok(listed)), Some((_, expected))) if from_v1_list => {
                    let known = expected.with_backends(listed.endpoints.clone(), capabilities);
                    known.matches_v1_list(&listed).then_some(known)
                }
                // The document is from the API in use (the v1 API lists documents), so it is complete.
                (Some(Ok(listed)), _) if !from_v1_list => Some(listed),
                (None, Some((same, expected))) if *same == id && id_tells_backends => Some(expected.clone()),
                // A foreign load balancer, one of ours whose id does not tell its content, or one that cannot be used: its backends are
                // needed nevertheless.
                _ => None,
            };
            let is_taken = from_v1_list && known.is_some();
            let is_known = self.load_balancers.contains_key(&id);
            let observed = match known {
                Some(known) => Some(Ok(known)),
                None if !reads.take(id, is_known) => {
                    extent = Extent::Part;
                    continue;
                }
                None => readable_or_absent(client.load_balancer(id))?.map(|read| {
                    let document = read.map_err(|reason| skipped(reason, None))?;
                    record_of(id, &document, capabilities).map_err(|reason| skipped(reason, Some(&document)))
                }),
            };
            match observed {
                // It was deleted between the list and the read.
                None => {
                    self.end_skip_of_load_balancer(id, &mut findings.dirty);
                    reads.restore(id, is_known);
                }
                // As for endpoints.
                Some(Err(_)) if self.v1_lists.is_unverified(Kind::LoadBalancer, id) => {
                    self.unverified.insert(id);
                }
                Some(Ok(observed)) => {
                    // As for endpoints.
                    if lacked {
                        self.v1_lists.distrust(Kind::LoadBalancer, Contradiction::Lacks(id));
                    }
                    self.add_listed_load_balancer(id, observed, findings);
                    if is_taken {
                        self.v1_lists.take(Kind::LoadBalancer, id);
                    }
                }
                Some(Err(skipped)) => self.skip_load_balancer(id, skipped, &mut findings.dirty),
            }
        }
        if extent == Extent::All {
            self.load_balancers_known = true;
            self.end_uncertainty(Kind::LoadBalancer);
        }
        // Forgets deleted objects, so that memory does not grow.
        let (endpoints, load_balancers) = (&self.endpoints, &self.load_balancers);
        for ids in [&mut self.misrepresented, &mut self.unverified] {
            ids.retain(|id| endpoints.contains_key(id) || load_balancers.contains_key(id));
        }
        Ok(extent)
    }

    /// Whether a known endpoint is missing in a list.
    pub fn lacks_endpoints(&self, listed: &[ListedEndpoint]) -> bool {
        listed.iter().filter(|(_, listed)| self.endpoints.contains_key(&listed.id)).count() < self.endpoints.len()
    }

    fn remove_absent_endpoints(&mut self, present: &FxHashSet<Guid>, findings: &mut Findings) {
        let absent: Vec<Guid> = self.endpoints.keys().filter(|id| !present.contains(id)).copied().collect();
        for id in absent {
            // The CNI manages local endpoints, and other programs manage their own. Their absence is not drift.
            if let Some(lost) = self.endpoints.get(&id).filter(|known| known.owner == Owner::Us && known.remote) {
                findings.add_drift(Cause::EndpointLost, lost.addresses.iter().map(|a| Subject::Address(*a)));
                self.lost.insert(id);
            }
            self.remove_endpoint(id, &mut findings.dirty);
        }
    }

    fn remove_absent_load_balancers(&mut self, present: &FxHashSet<Guid>, findings: &mut Findings) {
        let absent: Vec<Guid> = self.load_balancers.keys().filter(|id| !present.contains(id)).copied().collect();
        for id in absent {
            // A foreign load balancer may go at any time: that is its owner's decision, and no drift.
            if let Some(lost) = self.load_balancers.get(&id).filter(|known| known.owner == Owner::Us) {
                findings.add_drift(Cause::LoadBalancerLost, lost.frontends.iter().map(|f| Subject::Frontend(*f)));
                self.lost.insert(id);
            }
            self.remove_load_balancer(id, &mut findings.dirty);
        }
    }

    /// Forgets what was lost: from now on, it counts as written by another program if it appears.
    pub fn forget_lost(&mut self) {
        if !self.lost.is_empty() {
            self.lost = FxHashSet::default();
        }
    }

    /// Adds an endpoint that was not known before the list, or was from a list that is distrusted.
    fn add_listed_endpoint(&mut self, id: Guid, endpoint: ObservedEndpoint, findings: &mut Findings) {
        if self.v1_lists.is_unverified(Kind::Endpoint, id) {
            self.insert_verified_endpoint(id, endpoint, &mut findings.dirty);
            return;
        }
        // New local endpoints are new pods.
        if endpoint.owner == Owner::Us && endpoint.remote {
            let subjects = endpoint.addresses.iter().map(|address| Subject::Address(*address));
            if self.lost.contains(&id) {
                findings.late.extend(subjects.clone());
            }
            findings.add_drift(Cause::EndpointReappeared, subjects);
        }
        self.insert_endpoint(id, endpoint, &mut findings.dirty);
    }

    /// Adds a load balancer that was not known before the list, or was from a list that is distrusted.
    fn add_listed_load_balancer(&mut self, id: Guid, mut observed: ObservedLoadBalancer, findings: &mut Findings) {
        if self.v1_lists.is_unverified(Kind::LoadBalancer, id) {
            self.insert_verified_load_balancer(id, observed, &mut findings.dirty);
            return;
        }
        if let Some(attempted) = self.perhaps_adopted.remove(&id) {
            // If it has an attempted content, the modification has taken effect, and a modified load balancer is adopted.
            if attempted.contains(&observed.content) {
                observed.owner = Owner::Us;
            }
            self.insert_load_balancer(id, observed, &mut findings.dirty);
            return;
        }
        let cause = match observed.owner {
            Owner::Us => Cause::LoadBalancerReappeared,
            // Whether a Service uses the frontend is not known here: the caller drops the cause if none does.
            Owner::Foreign => Cause::FrontendTaken,
        };
        let subjects = observed.frontends.iter().map(|frontend| Subject::Frontend(*frontend));
        if self.lost.contains(&id) {
            findings.late.extend(subjects.clone());
        }
        findings.add_drift(cause, subjects);
        self.insert_load_balancer(id, observed, &mut findings.dirty);
    }

    /// Lists the load balancers of the host: one call; two if the v1 list fails or differs from what is known; five if
    /// it contradicts the enumeration.
    ///
    /// The v1 list is needed only if HNS can modify in place; otherwise ids tell the backends.
    fn list_load_balancers<F: FnOnce(&Self) -> FxHashMap<Guid, ObservedLoadBalancer>>(
        &mut self,
        client: &Client,
        capabilities: &Capabilities,
        detail: ListDetail,
        expected: &mut Expected<F>,
    ) -> Result<LoadBalancerList, Error> {
        let v1_list = || client.load_balancers_from_v1_list(|listed| Some(listed.and_then(record_of_v1_list)));
        let is_used =
            detail == ListDetail::Contents && capabilities.may_be_modified && self.v1_lists.trusts(Kind::LoadBalancer);
        let v1 = is_used.then(v1_list).and_then(Result::ok);
        // A v1 list may be out of date, so it alone does not end an uncertainty.
        let is_certain = !self.is_uncertain(Kind::LoadBalancer);
        let is_enough = is_certain && v1.as_ref().is_some_and(|v1| self.shows_what_is_known(v1, expected));
        let v1 = match v1 {
            Some(mut listed) if is_enough => {
                // It has documents, so it may lack an object with an invalid one.
                let ids: FxHashSet<Guid> = listed.iter().map(|listed| listed.id).collect();
                let skipped = self.skipped_load_balancers.ids().filter(|id| !ids.contains(id));
                listed.extend(skipped.map(|id| Listed { id: *id, document: None }));
                return Ok(LoadBalancerList { listed, from_v1_list: true });
            }
            other => other,
        };
        let record = |id, document: LoadBalancer| record_of(id, &document, capabilities);
        let mut listed = client.load_balancers(|listed| Some(listed.and_then(record)))?;
        let Some(v1) = v1 else { return Ok(LoadBalancerList { listed, from_v1_list: false }) };
        let is_skipped = |id: &Guid| self.skipped_load_balancers.contains(id);
        let read = |id| client.load_balancer(id);
        let contradiction = v1_lists::merge(&mut listed, v1, is_skipped, v1_list, read)?;
        contradiction.into_iter().for_each(|found| self.v1_lists.distrust(Kind::LoadBalancer, found));
        Ok(LoadBalancerList { listed, from_v1_list: contradiction.is_none() })
    }

    /// Whether a v1 list of load balancers has exactly the known ones. At the first audit: all that we would create, if
    /// an earlier process has created any endpoint.
    fn shows_what_is_known<F: FnOnce(&Self) -> FxHashMap<Guid, ObservedLoadBalancer>>(
        &self,
        v1: &[Listed<ObservedLoadBalancer>],
        expected: &mut Expected<F>,
    ) -> bool {
        if !self.load_balancers_known {
            let programmed = self.endpoints.values().any(|endpoint| endpoint.owner == Owner::Us);
            let lineages: FxHashSet<Lineage> = v1.iter().map(|listed| Lineage::of(listed.id)).collect();
            return !programmed || expected.get(self).keys().all(|lineage| lineages.contains(lineage));
        }
        let is_known = |id: &Guid| self.load_balancers.contains_key(id);
        v1.iter().filter(|listed| is_known(&listed.id)).count() == self.load_balancers.len()
            && v1.iter().all(|one| is_known(&one.id) || self.skipped_load_balancers.is_current(&one.id))
            && !self.skipped_load_balancers.any_due()
    }

    /// Adds the documents of the v1 list to a list of endpoints. Both are called only if they are needed: one call if
    /// the v1 list shows exactly the known endpoints.
    ///
    /// # Errors
    /// The error of HNS, if the enumeration or a read fails.
    pub fn endpoints_with_contents(
        &mut self,
        client: &Client,
        v1_list: impl Fn() -> Result<Vec<ListedEndpoint>, Error>,
        enumerate: impl FnOnce() -> Result<Vec<ListedEndpoint>, Error>,
    ) -> Result<Vec<ListedEndpoint>, Error> {
        // The HNS v1 API has no other list.
        let trusted = client.api_version() == ApiVersion::V1 || self.v1_lists.trusts(Kind::Endpoint);
        // Without it, ids are enough to tell which endpoints exist.
        let Some(mut v1) = trusted.then(&v1_list).and_then(Result::ok) else { return enumerate() };
        let is_known = |id: &Guid| self.endpoints.contains_key(id);
        let all_known = v1.iter().filter(|(_, one)| is_known(&one.id)).count() == self.endpoints.len()
            && v1.iter().all(|(_, one)| is_known(&one.id) || self.skipped_endpoints.is_current(&one.id))
            && !self.skipped_endpoints.any_due();
        if client.api_version() == ApiVersion::V1 {
            return Ok(v1);
        }
        // As for load balancers.
        if all_known && !self.is_uncertain(Kind::Endpoint) {
            // It has documents, so it may lack an endpoint with an invalid one.
            let ids: FxHashSet<Guid> = v1.iter().map(|(_, listed)| listed.id).collect();
            let skipped = self.skipped_endpoints.ids().filter(|id| !ids.contains(id));
            v1.extend(skipped.map(|id| (Guid::nil(), Listed { id: *id, document: None })));
            return Ok(v1);
        }
        let (networks, mut listed): (Vec<Guid>, Vec<_>) = enumerate()?.into_iter().unzip();
        let listed_only = |v1: Vec<ListedEndpoint>| v1.into_iter().map(|(_, listed)| listed).collect::<Vec<_>>();
        let is_skipped = |id: &Guid| self.skipped_endpoints.contains(id);
        let list_again = || v1_list().map(listed_only);
        let read = |id| client.endpoint(id);
        let contradiction = v1_lists::merge(&mut listed, listed_only(v1), is_skipped, list_again, read)?;
        contradiction.into_iter().for_each(|found| self.v1_lists.distrust(Kind::Endpoint, found));
        Ok(networks.into_iter().zip(listed).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_compared_up_to_a_limit() {
        assert_eq!(ListDetail::for_contents_of(MAX_CONTENTS), ListDetail::Contents);
        assert_eq!(ListDetail::for_contents_of(MAX_CONTENTS + 1), ListDetail::Sample);
    }
}
