//! The observed state: an index of the objects in HNS. Our own writes update it, and lists from HNS correct it.
//!
//! A list costs one call for each kind of object. Only new objects whose id does not identify their content are read.
//! Three rules apply to every answer of HNS:
//!
//! - An error changes nothing. An object is removed only if it is missing in a complete list, and an object that serves
//!   only if a second source confirms it.
//! - It is normal that an object disappears between the list and the read of its document: another program deleted it.
//! - An object with an invalid document is skipped, and not read again until the next cycle of audits. Other objects
//!   are not affected.

mod absence;
mod drift;
mod expected;
mod lists;
mod object;
mod read;
mod record;
mod skipped;
mod v1_lists;
mod verification;
mod verify;

use std::collections::BTreeSet;
use std::net::IpAddr;

use hcn::{Guid, Kind};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::dirty::Dirty;
use crate::frontend::Frontend;
use crate::identity::{Content, LoadBalancerContent, is_ours};
use skipped::Skipped;
use verification::Verification;

pub use drift::{Cause, Drift, Findings, by_cause};
pub use lists::{ListDetail, ListedEndpoint};
pub use object::{ObservedEndpoint, ObservedLoadBalancer, Owner};
pub use read::{DeferrableReads, Extent};
pub(crate) use record::{endpoint_record, readable_backends};
pub use v1_lists::V1Lists;

/// The number of objects in HNS that have ids of hnsproxy. Adopted ones have the ids of another program, also after a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IdentifiedObjects {
    pub load_balancers: usize,
    /// Remote endpoints.
    pub endpoints: usize,
}

/// The endpoints of our networks and the load balancers of the host, as far as they are known.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    endpoints: FxHashMap<Guid, ObservedEndpoint>,
    at: FxHashMap<IpAddr, SmallVec<[Guid; 1]>>,
    named: FxHashMap<SmolStr, SmallVec<[Guid; 1]>>,
    load_balancers: FxHashMap<Guid, ObservedLoadBalancer>,
    on: FxHashMap<Frontend, SmallVec<[Guid; 1]>>,
    /// How many load balancers have an endpoint as backend.
    references: FxHashMap<Guid, usize>,
    /// How many load balancers have an address as source VIP.
    source_vips: FxHashMap<IpAddr, usize>,
    /// Endpoints of load balancers whose creation failed, but which may exist. Until the next list, these endpoints count as referenced.
    perhaps_referenced: FxHashSet<Guid>,
    /// Objects whose deletion failed and may have taken effect. Until the next list, they are not relied on.
    perhaps_deleted: FxHashSet<Guid>,
    /// Objects that hnsproxy has deleted since the last list of their kind. HNS may keep an object although the deletion succeeds.
    deleted: BTreeSet<(Kind, Guid)>,
    /// Objects whose creation failed and may have taken effect. Until the next list of their kind, HNS may have them.
    perhaps_created: BTreeSet<(Kind, Guid)>,
    /// Foreign load balancers whose modification failed and may have taken effect, with the attempted contents. The next list reads them: with
    /// one of these contents, the load balancer is adopted.
    perhaps_adopted: FxHashMap<Guid, Vec<LoadBalancerContent>>,
    skipped_endpoints: Skipped,
    skipped_load_balancers: Skipped,
    /// The number of skipped load balancers of ours whose backends cannot be read.
    hides_backends: usize,
    /// Own objects whose ids did not show their content: another program modified or created them. Kept while such an object is
    /// missing, since it may reappear with that content.
    untrusted_ids: FxHashSet<Guid>,
    /// Objects of ours that a list lacked, so that HNS may list them late. Only those that were not created again.
    lost: FxHashSet<Guid>,
    /// Whether load balancers have been listed at least once.
    load_balancers_known: bool,
    /// Objects whose entries in the v1 lists differ from their own documents.
    misrepresented: FxHashSet<Guid>,
    /// Objects whose entries in the v1 lists differ or are not trusted, and whose documents could not be read when they were last verified.
    unverified: FxHashSet<Guid>,
    verification: Verification,
    v1_lists: V1Lists,
    /// The kinds whose last list lacked objects that HNS has.
    incomplete_lists: BTreeSet<Kind>,
}

impl Observed {
    pub fn endpoints(&self) -> impl Iterator<Item = (Guid, &ObservedEndpoint)> {
        self.endpoints.iter().map(|(id, observed)| (*id, observed))
    }

    pub fn load_balancers(&self) -> impl Iterator<Item = (Guid, &ObservedLoadBalancer)> {
        self.load_balancers.iter().map(|(id, observed)| (*id, observed))
    }

    /// Whether load balancers have been listed at least once.
    pub fn has_listed_load_balancers(&self) -> bool {
        self.load_balancers_known
    }

    pub fn endpoint(&self, id: Guid) -> Option<&ObservedEndpoint> {
        self.endpoints.get(&id)
    }

    /// Whether any endpoint of a network is known.
    pub fn has_endpoints(&self, network: Guid) -> bool {
        self.endpoints.values().any(|endpoint| endpoint.network == network)
    }

    pub fn endpoint_count(&self) -> usize {
        self.endpoints.len()
    }

    pub fn load_balancer_count(&self) -> usize {
        self.load_balancers.len()
    }

    /// The endpoints at an address: usually one. The CNI may create a local one while our remote one exists.
    pub fn at(&self, address: IpAddr) -> impl Iterator<Item = (Guid, &ObservedEndpoint)> {
        self.at.get(&address).into_iter().flatten().filter_map(|id| Some((*id, self.endpoints.get(id)?)))
    }

    pub fn local_at(&self, address: IpAddr) -> Option<Guid> {
        self.at(address).find(|(_, endpoint)| !endpoint.remote).map(|(id, _)| id)
    }

    /// The local endpoint with a name.
    pub fn named(&self, name: &str) -> Option<Guid> {
        self.named.get(name)?.first().copied()
    }

    /// The addresses of the local endpoints with a name in a network.
    pub fn addresses_of(&self, name: &str, network: Guid) -> impl Iterator<Item = IpAddr> {
        let endpoints = self.named.get(name).into_iter().flatten().filter_map(|id| self.endpoints.get(id));
        endpoints.filter(move |endpoint| endpoint.network == network).flat_map(|one| one.addresses.iter().copied())
    }

    /// The names of the local endpoints of a network, sorted.
    pub fn local_names(&self, network: Guid) -> Vec<SmolStr> {
        let is_in = |id: &Guid| self.endpoints.get(id).is_some_and(|endpoint| endpoint.network == network);
        let mut names: Vec<SmolStr> =
            self.named.iter().filter(|(_, ids)| ids.iter().any(is_in)).map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// The endpoints of a network.
    pub fn in_network(&self, network: Guid) -> impl Iterator<Item = &ObservedEndpoint> {
        self.endpoints.values().filter(move |endpoint| endpoint.network == network)
    }

    /// The number of load balancers without DSR. Each reserves ports of the host, since it translates connections.
    pub fn load_balancers_without_dsr(&self) -> usize {
        self.load_balancers.values().filter(|observed| observed.is_without_dsr()).count()
    }

    pub fn load_balancer(&self, id: Guid) -> Option<&ObservedLoadBalancer> {
        self.load_balancers.get(&id)
    }

    /// The load balancers on a frontend: at most one of ours, but HNS lets other programs add a second.
    pub fn on(&self, frontend: Frontend) -> impl Iterator<Item = (Guid, &ObservedLoadBalancer)> {
        self.on.get(&frontend).into_iter().flatten().filter_map(|id| Some((*id, self.load_balancers.get(id)?)))
    }

    /// Whether any load balancer has the endpoint as backend, or may have it.
    pub fn is_referenced(&self, endpoint: Guid) -> bool {
        self.perhaps_referenced.contains(&endpoint)
            || self.references.get(&endpoint).is_some_and(|count| *count > 0)
            || self.is_perhaps_hidden(endpoint)
    }

    /// The number of load balancers that have the endpoint as backend.
    pub fn references(&self, endpoint: Guid) -> usize {
        self.references.get(&endpoint).copied().unwrap_or_default()
    }

    /// The number of load balancers that have an address as source VIP.
    pub fn uses_of_source_vip(&self, address: IpAddr) -> usize {
        self.source_vips.get(&address).copied().unwrap_or_default()
    }

    /// The addresses of the endpoints that hnsproxy has created for source VIPs: usually one.
    pub fn source_vip_endpoints(&self) -> impl Iterator<Item = IpAddr> {
        self.endpoints.values().filter(|one| one.is_of_source_vip()).flat_map(|one| one.addresses.iter().copied())
    }

    /// Whether the deletion of an object failed and may have taken effect.
    pub fn is_perhaps_deleted(&self, id: Guid) -> bool {
        self.perhaps_deleted.contains(&id)
    }

    pub fn foreign_load_balancers(&self) -> impl Iterator<Item = (Guid, &ObservedLoadBalancer)> {
        self.load_balancers().filter(|(_, observed)| observed.owner == Owner::Foreign)
    }

    pub fn has_load_balancers_of_ours(&self) -> bool {
        self.load_balancers.values().any(|observed| observed.owner == Owner::Us)
    }

    /// Counts the objects with ids of hnsproxy. The cost grows with the number of objects.
    pub fn identified(&self) -> IdentifiedObjects {
        let load_balancers = self.load_balancers.keys().filter(|id| is_ours(**id)).count();
        let endpoints = self.endpoints.iter().filter(|(id, known)| known.remote && is_ours(**id)).count();
        IdentifiedObjects { load_balancers, endpoints }
    }

    /// Whether these differences are at least half of our load balancers, or of our endpoints, and more than one.
    pub fn lost_most(&self, drift: &[Drift]) -> bool {
        let lost = |cause| drift.iter().filter(|drift| drift.cause == cause).count();
        let load_balancers = self.load_balancers.values().filter(|observed| observed.owner == Owner::Us).count();
        let endpoints = self.endpoints.values().filter(|one| one.owner == Owner::Us && one.remote).count();
        [(Cause::LoadBalancerLost, load_balancers), (Cause::EndpointLost, endpoints)]
            .into_iter()
            .any(|(cause, left)| lost(cause) > 1 && lost(cause) >= left)
    }

    /// Adds or replaces an endpoint.
    pub fn insert_endpoint(&mut self, id: Guid, endpoint: ObservedEndpoint, dirty: &mut Dirty) {
        self.remove_endpoint(id, dirty);
        self.skipped_endpoints.remove(&id);
        dirty.addresses.extend(endpoint.addresses.iter().copied());
        for address in &endpoint.addresses {
            self.at.entry(*address).or_default().push(id);
        }
        // Only local ones: the host's own endpoint is local, and endpoint names are not unique in HNS.
        if !endpoint.remote && !endpoint.name.is_empty() {
            self.named.entry(endpoint.name.clone()).or_default().push(id);
        }
        self.lost.remove(&id);
        self.misrepresented.remove(&id);
        self.perhaps_created.remove(&(Kind::Endpoint, id));
        self.endpoints.insert(id, endpoint);
    }

    /// Removes an endpoint that HNS no longer has. Does not change whether its id is trusted: it may reappear, and HNS may keep what it says it has
    /// deleted.
    pub fn remove_endpoint(&mut self, id: Guid, dirty: &mut Dirty) {
        self.perhaps_deleted.remove(&id);
        self.v1_lists.end_take(Kind::Endpoint, id);
        let Some(endpoint) = self.endpoints.remove(&id) else { return };
        dirty.addresses.extend(endpoint.addresses.iter().copied());
        for address in &endpoint.addresses {
            remove_from(&mut self.at, address, id);
        }
        remove_from(&mut self.named, &endpoint.name, id);
    }

    /// Adds or replaces a load balancer.
    pub fn insert_load_balancer(&mut self, id: Guid, observed: ObservedLoadBalancer, dirty: &mut Dirty) {
        self.remove_load_balancer(id, dirty);
        self.end_skip_of_load_balancer(id, dirty);
        dirty.frontends.extend(observed.frontends.iter().copied());
        for frontend in &observed.frontends {
            self.on.entry(*frontend).or_default().push(id);
        }
        for endpoint in &observed.endpoints {
            *self.references.entry(*endpoint).or_default() += 1;
        }
        if let Some(address) = observed.source_vip() {
            *self.source_vips.entry(address).or_default() += 1;
        }
        self.lost.remove(&id);
        self.misrepresented.remove(&id);
        self.perhaps_created.remove(&(Kind::LoadBalancer, id));
        self.load_balancers.insert(id, observed);
    }

    /// Removes a load balancer that HNS no longer has. Does not change whether its id is trusted.
    pub fn remove_load_balancer(&mut self, id: Guid, dirty: &mut Dirty) {
        self.perhaps_deleted.remove(&id);
        self.perhaps_adopted.remove(&id);
        let Some(removed) = self.load_balancers.remove(&id) else { return };
        dirty.frontends.extend(removed.frontends.iter().copied());
        for frontend in &removed.frontends {
            remove_from(&mut self.on, frontend, id);
        }
        self.release(&removed.endpoints, dirty);
        if let Some(address) = removed.source_vip() {
            count_down(&mut self.source_vips, &address);
            // No load balancer uses this source VIP any more, so its endpoint can be deleted.
            dirty.addresses.extend(Some(address).filter(|address| !self.source_vips.contains_key(address)));
        }
        self.end_take_of_load_balancer(id, dirty);
    }

    /// Counts the backends of a load balancer that HNS no longer has. An endpoint may now be unused, no matter which program deleted the
    /// load balancer: the next plan decides whether it stays.
    fn release<'a>(&mut self, backends: impl IntoIterator<Item = &'a Guid>, dirty: &mut Dirty) {
        for endpoint in backends {
            count_down(&mut self.references, endpoint);
            let released = self.endpoints.get(endpoint).filter(|_| !self.references.contains_key(endpoint));
            dirty.addresses.extend(released.into_iter().flat_map(|released| released.addresses.iter().copied()));
        }
    }

    /// Records that it is not known whether a modification in place took effect. The content becomes unknown, so that
    /// the next plan writes the load balancer in any case. Both sets of backends count as referenced, so that no
    /// endpoint which HNS may still use is deleted.
    pub fn mark_load_balancer_uncertain(&mut self, id: Guid, attempted: &ObservedLoadBalancer) {
        // Deleted in the meantime: then there is nothing to be uncertain about.
        let Some(mut observed) = self.load_balancers.get(&id).cloned() else { return };
        let mut perhaps_adopted = self.perhaps_adopted.remove(&id).unwrap_or_default();
        if observed.owner == Owner::Foreign {
            perhaps_adopted.push(attempted.content);
        }
        let mut endpoints: Vec<Guid> = observed.endpoints.iter().chain(&attempted.endpoints).copied().collect();
        endpoints.sort_unstable();
        endpoints.dedup();
        observed.endpoints = endpoints.into();
        observed.content.whole = Content::UNKNOWN;
        let is_taken = self.v1_lists.is_taken(Kind::LoadBalancer, id);
        // Not dirty here: the caller schedules the frontend, at once or with backoff.
        self.insert_load_balancer(id, observed, &mut Dirty::default());
        if is_taken {
            self.v1_lists.take(Kind::LoadBalancer, id);
        }
        if !perhaps_adopted.is_empty() {
            self.perhaps_adopted.insert(id, perhaps_adopted);
        }
    }

    /// Records that an object with these backends may exist: its creation failed, and may have taken effect.
    pub fn mark_perhaps_created(&mut self, kind: Kind, id: Guid, endpoints: &[Guid]) {
        self.perhaps_created.insert((kind, id));
        self.perhaps_referenced.extend(endpoints);
    }

    /// Records that a repeated creation gave the object another id than the requested one: no list will show the requested one.
    pub fn forget_perhaps_created(&mut self, kind: Kind, id: Guid) {
        self.perhaps_created.remove(&(kind, id));
    }

    /// The number of objects whose creation failed and may have taken effect.
    pub fn perhaps_created_count(&self) -> usize {
        self.perhaps_created.len()
    }

    /// Whether it is not certain which objects of a kind exist, because a creation or a deletion failed.
    fn is_uncertain(&self, kind: Kind) -> bool {
        let is_known = |id: &Guid| match kind {
            Kind::Endpoint => self.endpoints.contains_key(id),
            _ => self.load_balancers.contains_key(id),
        };
        self.perhaps_created.iter().any(|(other, _)| *other == kind) || self.perhaps_deleted.iter().any(is_known)
    }

    /// Records that an object may be deleted: its deletion failed, and may have taken effect.
    pub fn mark_perhaps_deleted(&mut self, id: Guid) {
        self.perhaps_deleted.insert(id);
    }

    /// Records that all listed objects of a kind are known. An object whose creation or deletion was uncertain is either listed or absent.
    fn end_uncertainty(&mut self, kind: Kind) {
        // A list that lacks objects of HNS proves nothing.
        if self.incomplete_lists.contains(&kind) {
            return;
        }
        self.perhaps_created.retain(|(other, _)| *other != kind);
        self.deleted.retain(|(other, _)| *other != kind);
        if kind == Kind::Endpoint {
            self.perhaps_deleted.retain(|id| !self.endpoints.contains_key(id));
        } else {
            self.perhaps_deleted.retain(|id| !self.load_balancers.contains_key(id));
            self.perhaps_referenced.clear();
        }
    }

    /// Records that the id of an object no longer shows its content, because another program changed it.
    pub fn mark_id_untrusted(&mut self, id: Guid) {
        self.untrusted_ids.insert(id);
    }

    /// Records that HNS has deleted an object for hnsproxy.
    pub fn mark_deleted(&mut self, kind: Kind, id: Guid) {
        self.deleted.insert((kind, id));
    }

    /// Records that HNS lists objects of a kind, deleted ones too. Another program may have changed those since the deletion.
    fn distrust_kept(&mut self, kind: Kind, present: &FxHashSet<Guid>) {
        let is_kept = |(of, id): &&(Kind, Guid)| *of == kind && present.contains(id);
        self.untrusted_ids.extend(self.deleted.iter().filter(is_kept).map(|(_, id)| *id));
    }

    /// Adds or replaces an endpoint that hnsproxy has written. The id of a new one identifies its content.
    pub fn insert_written_endpoint(&mut self, id: Guid, endpoint: ObservedEndpoint, dirty: &mut Dirty) {
        self.deleted.remove(&(Kind::Endpoint, id));
        if !self.endpoints.contains_key(&id) {
            self.untrusted_ids.remove(&id);
        }
        self.insert_endpoint(id, endpoint, dirty);
    }

    /// As [`insert_written_endpoint`](Self::insert_written_endpoint), for a load balancer. A modification in place does not change what the id shows.
    pub fn insert_written_load_balancer(&mut self, id: Guid, observed: ObservedLoadBalancer, dirty: &mut Dirty) {
        self.deleted.remove(&(Kind::LoadBalancer, id));
        if !self.load_balancers.contains_key(&id) {
            self.untrusted_ids.remove(&id);
        }
        self.insert_load_balancer(id, observed, dirty);
    }

    /// Adopts a foreign load balancer that equals the desired one.
    pub fn adopt_load_balancer(&mut self, id: Guid) {
        // Only the owner changes: content and backends are equal already, so nothing becomes dirty.
        if let Some(observed) = self.load_balancers.get_mut(&id) {
            observed.owner = Owner::Us;
        }
    }

    /// Adopts a foreign endpoint that equals the desired one.
    pub fn adopt_endpoint(&mut self, id: Guid) {
        if let Some(observed) = self.endpoints.get_mut(&id) {
            observed.owner = Owner::Us;
        }
    }
}

fn count_down<K: std::hash::Hash + Eq>(counts: &mut FxHashMap<K, usize>, key: &K) {
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
