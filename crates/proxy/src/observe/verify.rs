//! Detects objects of ours that another program modified in place. Ids do not show it; the v1 lists do, if they have
//! the modified field.
//!
//! An entry of a v1 list that differs is only a hint: v1 documents lack fields of v2, and HNS builds differ in what
//! they write there. So the object is read on its own, and its document is compared. If the list is wrong about too many
//! objects, it is not used again.

use std::net::IpAddr;

use hcn::client::Listed;
use hcn::schema::{Endpoint, LoadBalancer};
use hcn::{ApiVersion, Client, Error, Guid, Kind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::drift::{Cause, Findings};
use super::lists::{ListDetail, ListedEndpoint, LoadBalancerList};
use super::read::{DeferrableReads, Extent, readable_or_absent};
use super::record::{unreadable_endpoint_place, unreadable_place};
use super::{Observed, ObservedEndpoint, ObservedLoadBalancer, Owner};
use crate::dirty::Subject;
use crate::identity::{self, Lineage};
use crate::network::Contradiction;
use crate::settings::Capabilities;

/// The number of endpoints that the v1 list may show with other content than they have. HNS builds differ in what they
/// write for endpoints of some kinds, and each of these costs two calls once. A list that is wrong about more of them
/// does not show what another program has changed.
const MAX_MISREPRESENTED: usize = 4;
/// The number of objects of a kind that are read at an audit although their documents cannot be read: two calls each. The next such audit reads
/// others.
const MAX_UNVERIFIED: usize = 16;

/// Whether a listed document differs from the content that the id of its endpoint shows.
fn shows_other(document: &Option<Result<ObservedEndpoint, String>>, known: &ObservedEndpoint) -> bool {
    document.as_ref().is_some_and(|shown| shown.as_ref().ok().is_none_or(|shown| shown.content != known.content))
}

/// What the entries of a list suggest about the objects that are verified.
struct Suspects {
    /// The objects whose entry differs from what was written.
    ids: Vec<Guid>,
    /// Whether any entry is as written.
    any_as_written: bool,
}

impl Observed {
    /// Whether an endpoint that was not known before a list may have other content than its id shows: it was modified in place and then
    /// disappeared, or the v1 list shows other content, or an earlier process has replaced it under an alternative id, because another program
    /// had modified it.
    pub(super) fn is_id_in_doubt(
        &self,
        listed: &Listed<ObservedEndpoint>,
        known: &ObservedEndpoint,
        unexpected: &FxHashSet<Guid>,
    ) -> bool {
        let alternative = |address: &IpAddr| identity::endpoint_id(*address, known.content.alternative());
        self.untrusted_ids.contains(&listed.id)
            || shows_other(&listed.document, known)
            || !unexpected.is_empty() && known.addresses.iter().map(alternative).any(|id| unexpected.contains(&id))
    }

    /// Reads our remote endpoints whose list entry differs from what was written, or a few if no list shows contents: two calls for each.
    pub(super) fn verify_endpoints(
        &mut self,
        client: &Client,
        listed: &[ListedEndpoint],
        detail: ListDetail,
        reads: &mut DeferrableReads,
        findings: &mut Findings,
    ) -> Result<Extent, Error> {
        // Local endpoints belong to the CNI, which may modify them.
        let ours = |id: &Guid| self.endpoints.get(id).filter(|known| known.owner == Owner::Us && known.remote);
        let is_as_written = |id: &Guid, listed: Option<&ObservedEndpoint>| {
            let known = ours(id)?;
            Some(listed.is_some_and(|listed| known.content == listed.content))
        };
        let Suspects { ids, any_as_written } = self.suspects(listed.iter().map(|(_, listed)| listed), is_as_written);
        self.verification.add(Kind::Endpoint, ids);
        let mut ids = self.verification.due(Kind::Endpoint);
        if self.needs_sample(Kind::Endpoint, client, detail) {
            let ours = self.endpoints.iter().filter(|(_, known)| known.owner == Owner::Us && known.remote);
            ids.extend(self.verification.sample(Kind::Endpoint, ours.map(|(id, _)| *id)));
        }
        self.verify_unverified_last(&mut ids);
        let mut extent = Extent::All;
        let (mut misrepresented, mut any_changed, mut unverified) = (Vec::new(), false, 0);
        for id in ids {
            if misrepresented.len() == MAX_MISREPRESENTED || unverified == MAX_UNVERIFIED {
                self.verification.end_all(Kind::Endpoint);
                break;
            }
            if !reads.take(id, true) {
                extent = Extent::Part;
                break;
            }
            let Some(known) = self.endpoints.get(&id) else {
                self.verification.end(Kind::Endpoint, id);
                continue;
            };
            let subjects: Vec<_> = known.addresses.iter().map(|address| Subject::Address(*address)).collect();
            match readable_or_absent(client.endpoint(id))? {
                // It was deleted between the list and the read.
                None => {
                    findings.add_drift(Cause::EndpointLost, subjects);
                    self.remove_endpoint(id, &mut findings.dirty);
                }
                // What cannot be read says nothing about the content. It is read again at a later audit.
                Some(Ok(document)) if is_endpoint_unreadable(known, &document) => {
                    self.unverified.insert(id);
                    unverified += 1;
                }
                Some(Ok(document)) => {
                    let observed = ObservedEndpoint::of(known.network, &document, Owner::Us);
                    if observed.content == known.content {
                        misrepresented.extend(Some(id).filter(|id| self.verification.is_due(Kind::Endpoint, *id)));
                    } else {
                        any_changed = true;
                        // Its id still has the old content, so the id is no longer trusted.
                        findings.add_drift(Cause::EndpointChanged, subjects);
                        self.insert_endpoint(id, observed, &mut findings.dirty);
                        self.mark_id_untrusted(id);
                    }
                }
                Some(Err(_)) => {
                    self.unverified.insert(id);
                    unverified += 1;
                }
            }
            self.verification.end(Kind::Endpoint, id);
        }
        // The document of the HNS v1 API is an entry of this list: it cannot differ from it.
        let other_api = client.api_version() == ApiVersion::V2;
        let shows_nothing_right = !any_as_written && !any_changed;
        if let Some(first) = misrepresented.first()
            && other_api
            && (shows_nothing_right || misrepresented.len() == MAX_MISREPRESENTED)
        {
            self.v1_lists.distrust(Kind::Endpoint, Contradiction::OtherContent(*first));
        }
        // Without this mark, each such audit would read them again.
        self.misrepresented.extend(misrepresented);
        Ok(extent)
    }

    /// Reads our load balancers whose entry in the v1 list differs from what was written, or a few if no list shows contents: two calls for each.
    pub(super) fn verify_load_balancers(
        &mut self,
        client: &Client,
        capabilities: &Capabilities,
        LoadBalancerList { listed, from_v1_list }: &LoadBalancerList,
        detail: ListDetail,
        reads: &mut DeferrableReads,
        findings: &mut Findings,
    ) -> Result<Extent, Error> {
        let ours = |id: &Guid| self.load_balancers.get(id).filter(|known| known.owner == Owner::Us);
        let is_as_written = |id: &Guid, listed: Option<&ObservedLoadBalancer>| {
            let known = ours(id)?;
            Some(listed.is_some_and(|listed| known.matches_v1_list(listed)))
        };
        let is_complete = |listed: &&Listed<ObservedLoadBalancer>| matches!(listed.document, Some(Ok(_)));
        let complete: FxHashSet<Guid> = listed.iter().filter(is_complete).map(|listed| listed.id).collect();
        if *from_v1_list {
            let ids = self.suspects(listed, is_as_written).ids;
            self.verification.add(Kind::LoadBalancer, ids);
        }
        let mut ids = self.verification.due(Kind::LoadBalancer);
        if capabilities.may_be_modified && self.needs_sample(Kind::LoadBalancer, client, detail) {
            let ours = self.load_balancers.iter().filter(|(_, known)| known.owner == Owner::Us);
            ids.extend(self.verification.sample(Kind::LoadBalancer, ours.map(|(id, _)| *id)));
        }
        self.verify_unverified_last(&mut ids);
        let mut extent = Extent::All;
        let (mut incomplete, mut unverified) = (0, 0);
        for id in ids {
            if unverified == MAX_UNVERIFIED {
                self.verification.end_all(Kind::LoadBalancer);
                break;
            }
            if !reads.take(id, true) {
                extent = Extent::Part;
                break;
            }
            let Some(known) = self.load_balancers.get(&id) else {
                self.verification.end(Kind::LoadBalancer, id);
                continue;
            };
            let subjects: Vec<_> = known.frontends.iter().map(|frontend| Subject::Frontend(*frontend)).collect();
            match readable_or_absent(client.load_balancer(id))? {
                // It was deleted between the list and the read.
                None => {
                    findings.add_drift(Cause::LoadBalancerLost, subjects);
                    self.remove_load_balancer(id, &mut findings.dirty);
                }
                // As for endpoints.
                Some(Ok(document)) if is_load_balancer_unreadable(known, &document) => {
                    self.unverified.insert(id);
                    unverified += 1;
                }
                Some(Ok(document)) => {
                    let observed = ObservedLoadBalancer::of(&document, capabilities, Owner::Us);
                    if observed.content == known.content {
                        if !self.verification.is_due(Kind::LoadBalancer, id) {
                            continue;
                        }
                        self.misrepresented.insert(id);
                        // Frontends, backends and the backend port are in every v1 list, and new load balancers are
                        // not read if it shows them. So a list that is wrong about one of them, for example because it
                        // is out of date, is not used again. An incomplete entry says nothing about the others, but a list with many of them
                        // does not show what another program has changed.
                        incomplete += usize::from(*from_v1_list && !complete.contains(&id));
                        if *from_v1_list && complete.contains(&id) || incomplete == MAX_MISREPRESENTED {
                            self.v1_lists.distrust(Kind::LoadBalancer, Contradiction::OtherContent(id));
                            self.verification.end_all(Kind::LoadBalancer);
                            break;
                        }
                    } else {
                        // Its id still has the old content, so the id is no longer trusted.
                        findings.add_drift(Cause::LoadBalancerChanged, subjects);
                        self.insert_load_balancer(id, observed, &mut findings.dirty);
                        self.mark_id_untrusted(id);
                    }
                }
                Some(Err(_)) => {
                    self.unverified.insert(id);
                    unverified += 1;
                }
            }
            self.verification.end(Kind::LoadBalancer, id);
        }
        Ok(extent)
    }

    /// Whether contents are due, and no list of a kind shows them.
    fn needs_sample(&self, kind: Kind, client: &Client, detail: ListDetail) -> bool {
        let is_distrusted = client.api_version() == ApiVersion::V2 && !self.v1_lists.trusts(kind);
        detail == ListDetail::Sample || detail == ListDetail::Contents && is_distrusted
    }

    /// The number of objects that another program may have changed, and that are not read yet.
    pub fn unverified(&self) -> usize {
        self.v1_lists.unverified() + self.verification.count()
    }

    /// Moves the objects to the end whose documents could not be read the last time, so that each is read at some audit.
    fn verify_unverified_last(&mut self, ids: &mut [Guid]) {
        if !ids.is_empty() && ids.iter().all(|id| self.unverified.contains(id)) {
            self.unverified.retain(|id| !ids.contains(id));
        }
        ids.sort_by_key(|id| self.unverified.contains(id));
    }

    /// Drops the documents of a v1 list that shows other content of many new endpoints of ours than their ids do, if the endpoints have the
    /// content of their ids. Each of them would be read otherwise.
    ///
    /// # Errors
    /// The error of HNS, if a read fails.
    pub(super) fn verify_v1_endpoints(
        &mut self,
        client: &Client,
        listed: &mut [ListedEndpoint],
        expected: &FxHashMap<Guid, ObservedEndpoint>,
    ) -> Result<(), Error> {
        let differs = |listed: &Listed<ObservedEndpoint>| {
            let expected = expected.get(&listed.id).filter(|_| !self.untrusted_ids.contains(&listed.id))?;
            shows_other(&listed.document, expected).then_some((listed.id, expected))
        };
        let differing: Vec<_> = listed.iter().filter_map(|(_, listed)| differs(listed)).collect();
        let (first, samples) = match differing.get(..=MAX_MISREPRESENTED) {
            // With fewer, another program may have changed them.
            None | Some([]) => return Ok(()),
            Some(samples @ [(first, _), ..]) => (*first, samples),
        };
        for (id, expected) in samples {
            let Some(Ok(document)) = readable_or_absent(client.endpoint(*id))? else { return Ok(()) };
            if ObservedEndpoint::of(expected.network, &document, Owner::Us).content != expected.content {
                return Ok(());
            }
        }
        self.v1_lists.distrust(Kind::Endpoint, Contradiction::OtherContent(first));
        listed.iter_mut().for_each(|(_, listed)| listed.document = None);
        Ok(())
    }

    /// Whether a v1 list shows new load balancers of ours as they are. If it shows other content of many of them than expected, one is read: their
    /// backends may have changed while no process ran, or the list is wrong, and is not used again.
    ///
    /// # Errors
    /// The error of HNS, if a read fails.
    pub(super) fn is_v1_list_right(
        &mut self,
        client: &Client,
        listed: &[Listed<ObservedLoadBalancer>],
        expected: &FxHashMap<Lineage, (Guid, ObservedLoadBalancer)>,
    ) -> Result<bool, Error> {
        let differing = listed.iter().filter_map(|Listed { id, document }| {
            let shown = document.as_ref()?.as_ref().ok()?;
            let (_, expected) = expected.get(&Lineage::of(*id))?;
            (!expected.matches_v1_list(shown)).then_some((*id, shown))
        });
        let differing: Vec<_> = differing.collect();
        if differing.len() <= MAX_MISREPRESENTED {
            return Ok(true);
        }
        for (id, shown) in differing.into_iter().take(MAX_MISREPRESENTED) {
            // What cannot be read says nothing about the list.
            let Some(Ok(document)) = readable_or_absent(client.load_balancer(id))? else { continue };
            if is_load_balancer_unreadable(shown, &document) {
                continue;
            }
            let is_right = ObservedLoadBalancer::of_v1_list(&document, Owner::Us).matches_v1_list(shown);
            if !is_right {
                self.v1_lists.distrust(Kind::LoadBalancer, Contradiction::OtherContent(id));
            }
            return Ok(is_right);
        }
        Ok(true)
    }

    /// The objects whose list entry differs from what was written. `is_as_written` returns `None` for objects that are
    /// not verified.
    fn suspects<'a, T: 'a>(
        &self,
        listed: impl IntoIterator<Item = &'a Listed<T>>,
        is_as_written: impl Fn(&Guid, Option<&T>) -> Option<bool>,
    ) -> Suspects {
        let mut suspects = Suspects { ids: Vec::new(), any_as_written: false };
        for Listed { id, document } in listed {
            // A list of ids shows no content.
            let Some(document) = document else { continue };
            match is_as_written(id, document.as_ref().ok()) {
                Some(true) => suspects.any_as_written = true,
                Some(false) if !self.misrepresented.contains(id) => suspects.ids.push(*id),
                _ => {}
            }
        }
        suspects
    }
}

/// Whether a member of the document cannot be read, and the others do not show that another program changed the endpoint.
fn is_endpoint_unreadable(known: &ObservedEndpoint, document: &Endpoint) -> bool {
    if unreadable_endpoint_place(document).is_some() {
        return true;
    }
    let same_place =
        || known.remote == document.is_remote() && document.addresses().eq(known.addresses.iter().copied());
    identity::unreadable_endpoint_content(document).next().is_some() && same_place()
}

/// As [`is_endpoint_unreadable`], for a load balancer.
fn is_load_balancer_unreadable(known: &ObservedLoadBalancer, document: &LoadBalancer) -> bool {
    if unreadable_place(document).is_some() {
        return true;
    }
    let same_place = || known.has_place_of(&ObservedLoadBalancer::of_v1_list(document, known.owner));
    identity::unreadable_load_balancer_content(document).next().is_some() && same_place()
}
