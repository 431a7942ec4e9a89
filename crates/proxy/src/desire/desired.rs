//! The desired state of all Services, and which Service owns which frontend.
//!
//! It is updated one Service at a time: the cost of a change is proportional to the frontends and backends of that Service. HNS has one load
//! balancer for each frontend, so each frontend has one owner: the oldest Service that claims it, and of equally old ones the one that
//! has it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{DesiredService, TrafficPolicy};
use crate::condition::{Condition, ServiceCondition};
use crate::dirty::Dirty;
use crate::frontend::{EndpointPurpose, Frontend, FrontendKind, LoadBalancerSpec, Target};
use crate::model::Family;
use crate::model::ServiceName;

/// A claim of a Service to a frontend, ordered by frontend, age and name of the Service. The first claim to a frontend
/// wins, unless another one of the same age has it.
type Claim = (Frontend, i64, ServiceName);

/// A frontend that uses a target. Sorted so that the frontends of one target are adjacent.
type Use = (Target, Frontend);

/// The load balancer desired for a frontend, and the Service that owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredFrontend {
    pub service: ServiceName,
    pub spec: Arc<LoadBalancerSpec>,
}

/// The desired state of one Service.
#[derive(Debug, Clone, Default)]
struct Entry {
    created: i64,
    specs: Vec<Arc<LoadBalancerSpec>>,
    service_addresses: Vec<IpAddr>,
    conditions: Vec<Condition>,
    without_local: Vec<(TrafficPolicy, Family)>,
}

/// The desired state of all Services.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    entries: FxHashMap<ServiceName, Entry>,
    claims: BTreeSet<Claim>,
    frontends: FxHashMap<Frontend, DesiredFrontend>,
    uses: BTreeSet<Use>,
    service_addresses: BTreeSet<(IpAddr, ServiceName)>,
    source_vip: Option<IpAddr>,
    /// The number of frontends without a serving backend.
    without_backends: usize,
    /// How many addresses are backends that need a remote endpoint.
    remote: usize,
    /// How many ports have serving backends, but none that a policy `Local` allows.
    without_local: FxHashMap<(TrafficPolicy, Family), usize>,
    /// Services with conditions of their own.
    with_conditions: BTreeSet<ServiceName>,
    /// Frontends that several Services claim.
    conflicting: BTreeSet<Frontend>,
    /// The Services that have lost a frontend to another Service, and the Services that have gained it. Kept until
    /// [`take_reassigned`](Self::take_reassigned) is called.
    reassigned: BTreeSet<ServiceName>,
}

impl Desired {
    /// Replaces the desired states of Services, each with its creation time. A Service whose desired state is empty is removed.
    pub fn update(
        &mut self,
        services: impl IntoIterator<Item = (ServiceName, i64, DesiredService)>,
        dirty: &mut Dirty,
    ) {
        let mut changed = BTreeSet::new();
        for (name, created, desired) in services {
            self.set(&name, created, desired, dirty, &mut changed);
        }
        // Once all claims are known: the order of the Services must not decide which one gets a frontend.
        for frontend in changed {
            let owner = self.frontends.get(&frontend).map(|owner| owner.service.clone());
            self.settle_owner(frontend, owner.as_ref(), dirty);
        }
    }

    /// Gives a frontend to a Service, unless an older one claims it.
    pub fn assign(&mut self, frontend: Frontend, service: &ServiceName, dirty: &mut Dirty) {
        self.settle_owner(frontend, Some(service), dirty);
    }

    /// The frontends that several Services of the same age claim, and no older one, with what each of these asks for: the owner first.
    pub fn ties(&self) -> impl Iterator<Item = (Frontend, Vec<DesiredFrontend>)> {
        let tie = |frontend: &Frontend| {
            let mut tied: Vec<DesiredFrontend> = self
                .oldest(*frontend)
                .filter_map(|service| {
                    let spec = self.spec(service, *frontend)?.clone();
                    Some(DesiredFrontend { service: service.clone(), spec })
                })
                .collect();
            let owner = self.frontends.get(frontend).map(|owner| &owner.service);
            tied.sort_by_key(|claim| Some(&claim.service) != owner);
            (tied.len() > 1).then_some((*frontend, tied))
        };
        self.conflicting.iter().filter_map(tie)
    }

    /// Adds the frontends whose claims change to `changed`.
    fn set(
        &mut self,
        name: &ServiceName,
        created: i64,
        desired: DesiredService,
        dirty: &mut Dirty,
        changed: &mut BTreeSet<Frontend>,
    ) {
        let old = self.entries.remove(name).unwrap_or_default();
        let mut old_specs: FxHashMap<Frontend, Arc<LoadBalancerSpec>> =
            old.specs.into_iter().map(|spec| (spec.frontend, spec)).collect();
        let mut specs = Vec::with_capacity(desired.load_balancers.len());
        for spec in desired.load_balancers {
            match old_specs.remove(&spec.frontend) {
                // Unchanged: the frontend does not become dirty.
                Some(same) if *same == spec && old.created == created => specs.push(same),
                before => {
                    if before.is_some() {
                        self.claims.remove(&(spec.frontend, old.created, name.clone()));
                    }
                    self.claims.insert((spec.frontend, created, name.clone()));
                    changed.insert(spec.frontend);
                    specs.push(Arc::new(spec));
                }
            }
        }
        // What is left was claimed before and is not any more.
        for frontend in old_specs.into_keys() {
            self.claims.remove(&(frontend, old.created, name.clone()));
            changed.insert(frontend);
        }
        for address in &old.service_addresses {
            if !desired.service_addresses.contains(address) {
                self.service_addresses.remove(&(*address, name.clone()));
                dirty.addresses.insert(*address);
            }
        }
        for address in &desired.service_addresses {
            if self.service_addresses.insert((*address, name.clone())) {
                dirty.addresses.insert(*address);
            }
        }
        for kind in &old.without_local {
            self.without_local.entry(*kind).and_modify(|count| *count -= 1);
        }
        for kind in &desired.without_local {
            *self.without_local.entry(*kind).or_default() += 1;
        }
        let DesiredService { service_addresses, conditions, without_local, .. } = desired;
        let entry = Entry { created, specs, service_addresses, conditions, without_local };
        if entry.conditions.is_empty() {
            self.with_conditions.remove(name);
        } else {
            self.with_conditions.insert(name.clone());
        }
        // An entry with ports without local backends is kept even if the rest is empty: its removal must decrement the
        // count.
        let empty = entry.specs.is_empty() && entry.service_addresses.is_empty() && entry.conditions.is_empty();
        if !empty || !entry.without_local.is_empty() {
            self.entries.insert(name.clone(), entry);
        }
    }

    /// The source VIP, if the overlay network needs its endpoint.
    pub fn source_vip(&self) -> Option<IpAddr> {
        self.source_vip
    }

    /// Sets the source VIP, for which overlay networks need an endpoint.
    pub fn set_source_vip(&mut self, source_vip: Option<IpAddr>, dirty: &mut Dirty) {
        if self.source_vip != source_vip {
            dirty.addresses.extend(self.source_vip.into_iter().chain(source_vip));
            self.source_vip = source_vip;
        }
    }

    /// Determines the owner of a frontend after a claim to it has changed. `current` is the Service that has it.
    fn settle_owner(&mut self, frontend: Frontend, current: Option<&ServiceName>, dirty: &mut Dirty) {
        // The oldest Service keeps its frontend when a newer one claims it too, so that no creation can take traffic
        // from an existing Service. Creation times are whole seconds: of equally old Services, the one that claims a frontend last must not
        // take traffic from the one that has it, as in kube-proxy.
        let kept = current.filter(|current| self.oldest(frontend).any(|service| service == *current));
        let first = kept.or_else(|| self.claimants(frontend).next()).cloned();
        let claim = |service: &ServiceName| Some((service.clone(), self.spec(service, frontend)?.clone()));
        let mut owner = first.as_ref().and_then(claim).map(|(service, spec)| DesiredFrontend { service, spec });
        let mut others =
            self.claimants(frontend).filter(|service| Some(*service) != first.as_ref()).filter_map(claim).peekable();
        let conflicting = others.peek().is_some();
        // A health check is about the node, not about a Service. If Services share an ingress address and a health check port, it exists as
        // long as one of them has a backend.
        if owner.as_ref().is_some_and(|o| o.spec.kind == FrontendKind::HealthCheck && o.spec.targets.is_empty())
            && let Some((service, spec)) = others.find(|(_, spec)| !spec.targets.is_empty())
        {
            owner = Some(DesiredFrontend { service, spec });
        }
        drop(others);
        if conflicting {
            self.conflicting.insert(frontend);
        } else {
            self.conflicting.remove(&frontend);
        }
        let old = match owner.clone() {
            Some(owner) => self.frontends.insert(frontend, owner),
            None => self.frontends.remove(&frontend),
        };
        // A claim of another Service has changed, which does not affect the load balancer.
        if old == owner {
            return;
        }
        dirty.frontends.insert(frontend);
        if let (Some(before), Some(after)) = (&old, &owner)
            && before.service != after.service
        {
            self.reassigned.extend([before.service.clone(), after.service.clone()]);
        }
        let is_without_backends =
            |owner: &Option<DesiredFrontend>| owner.as_ref().is_some_and(|owner| owner.spec.targets.is_empty());
        self.without_backends += usize::from(is_without_backends(&owner));
        self.without_backends -= usize::from(is_without_backends(&old));
        let targets = |owner: &Option<DesiredFrontend>| -> FxHashSet<Target> {
            owner.iter().flat_map(|owner| owner.spec.targets.iter().copied()).collect()
        };
        // Only backends that were added or removed are touched: a Service may have a thousand of them, and usually
        // one changes.
        let (before, after) = (targets(&old), targets(&owner));
        for target in before.symmetric_difference(&after).copied() {
            let remote = matches!(target, Target::Address { local: false, .. });
            self.remote -= usize::from(remote && self.users(target).next().is_some());
            if after.contains(&target) {
                self.uses.insert((target, frontend));
            } else {
                self.uses.remove(&(target, frontend));
            }
            self.remote += usize::from(remote && self.users(target).next().is_some());
            if let Target::Address { address, .. } = target {
                dirty.addresses.insert(address);
            }
        }
    }

    fn spec(&self, service: &ServiceName, frontend: Frontend) -> Option<&Arc<LoadBalancerSpec>> {
        let specs = &self.entries.get(service)?.specs;
        specs.get(specs.binary_search_by_key(&frontend, |spec| spec.frontend).ok()?)
    }

    fn claims_to(&self, frontend: Frontend) -> impl Iterator<Item = &Claim> {
        let first = (frontend, i64::MIN, ServiceName::new("", ""));
        self.claims.range(first..).take_while(move |(f, ..)| *f == frontend)
    }

    /// The Services that claim a frontend, the oldest first.
    pub(crate) fn claimants(&self, frontend: Frontend) -> impl Iterator<Item = &ServiceName> {
        self.claims_to(frontend).map(|(_, _, service)| service)
    }

    /// Of the Services that claim a frontend, those that no other one is older than.
    fn oldest(&self, frontend: Frontend) -> impl Iterator<Item = &ServiceName> {
        let oldest = self.claims_to(frontend).next().map(|(_, created, _)| *created);
        self.claims_to(frontend).take_while(move |claim| Some(claim.1) == oldest).map(|(_, _, service)| service)
    }

    /// The load balancer desired for a frontend, with its owner.
    pub fn frontend(&self, frontend: Frontend) -> Option<&DesiredFrontend> {
        self.frontends.get(&frontend)
    }

    /// All frontends with an owner, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &DesiredFrontend> {
        self.frontends.values()
    }

    /// The frontends that use a target.
    pub fn users(&self, target: Target) -> impl Iterator<Item = Frontend> {
        // The smallest possible frontend: the derived order compares families first, then "no address".
        let first =
            Frontend { family: crate::model::Family::V4, address: None, protocol: hcn::schema::Protocol(0), port: 0 };
        self.uses.range((target, first)..).take_while(move |(t, _)| *t == target).map(|(_, frontend)| *frontend)
    }

    /// The frontends that use an address as backend, on this node or another.
    pub fn users_of(&self, address: IpAddr) -> impl Iterator<Item = Frontend> {
        [true, false].into_iter().flat_map(move |local| self.users(Target::Address { address, local }))
    }

    /// The purpose of an endpoint of ours at an address; none if no Service needs one. A Service address takes
    /// precedence over a backend: without its endpoint the overlay network does not route the address.
    pub fn purpose(&self, address: IpAddr) -> Option<EndpointPurpose> {
        // The load balancers of all Services need the source VIP, so it comes before what one Service needs.
        if self.source_vip == Some(address) {
            Some(EndpointPurpose::SourceVip)
        } else if self.service_at(address).is_some() {
            Some(EndpointPurpose::ServiceAddress)
        } else {
            let backend = self.users(Target::Address { address, local: false }).next();
            backend.map(|_| EndpointPurpose::Backend)
        }
    }

    /// The Service that has an address as cluster IP, on overlay networks.
    pub fn service_at(&self, address: IpAddr) -> Option<&ServiceName> {
        let first = (address, ServiceName::new("", ""));
        self.service_addresses.range(first..).next().filter(|(a, _)| *a == address).map(|(_, service)| service)
    }

    /// The backends on other nodes, in order; an address once for each frontend that uses it.
    fn remote_backends(&self) -> impl Iterator<Item = IpAddr> {
        self.uses.iter().filter_map(|(target, _)| match target {
            Target::Address { address, local: false } => Some(*address),
            _ => None,
        })
    }

    /// All addresses that may need an endpoint of ours.
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        self.remote_backends()
            .chain(self.service_addresses.iter().map(|(address, _)| *address))
            .chain(self.source_vip)
            .collect()
    }

    /// How many of these addresses need an endpoint of ours.
    pub fn count_needed(&self, addresses: &BTreeSet<IpAddr>) -> usize {
        let is_needed = |address: &IpAddr| self.purpose(*address).is_some();
        // A start counts almost all addresses of the cluster after each batch: then both sets are read in order, without a look-up for each
        // address.
        if addresses.len() < self.uses.len() / 16 {
            return addresses.iter().filter(|address| is_needed(address)).count();
        }
        let mut backends = self.remote_backends().peekable();
        let mut is_backend = |address: &IpAddr| {
            while backends.next_if(|backend| backend < address).is_some() {}
            backends.peek() == Some(address)
        };
        addresses.iter().filter(|address| is_backend(address) || is_needed(address)).count()
    }

    /// Returns the Services that have lost a frontend to another Service, or have gained one, since the last call of this function.
    pub fn take_reassigned(&mut self) -> BTreeSet<ServiceName> {
        std::mem::take(&mut self.reassigned)
    }

    /// The number of desired load balancers.
    pub fn load_balancers(&self) -> usize {
        self.frontends.len() - self.without_backends
    }

    /// How many frontends have no load balancer because no backend serves.
    pub fn without_backends(&self) -> usize {
        self.without_backends
    }

    /// The number of ports of a family that have serving backends, but none on this node, and the policy `Local`.
    pub fn without_local(&self, policy: TrafficPolicy, family: Family) -> usize {
        self.without_local.get(&(policy, family)).copied().unwrap_or_default()
    }

    /// The number of desired endpoints of ours.
    pub fn endpoints(&self) -> usize {
        self.remote + self.service_addresses.len() + usize::from(self.source_vip.is_some())
    }

    /// The load balancers that a Service asks for, whether it owns their frontends or not, in the order of frontends.
    pub fn specs_of(&self, service: &ServiceName) -> &[Arc<LoadBalancerSpec>] {
        self.entries.get(service).map(|entry| entry.specs.as_slice()).unwrap_or_default()
    }

    /// The addresses of a Service that overlay networks need an endpoint for.
    pub fn service_addresses_of(&self, service: &ServiceName) -> &[IpAddr] {
        self.entries.get(service).map(|entry| entry.service_addresses.as_slice()).unwrap_or_default()
    }

    /// The conditions of a Service, without conflicts with other Services.
    pub fn conditions_of(&self, service: &ServiceName) -> &[Condition] {
        self.entries.get(service).map(|entry| entry.conditions.as_slice()).unwrap_or_default()
    }

    /// The condition of a Service that claims a frontend of another one.
    pub fn conflict(&self, service: &ServiceName, frontend: Frontend) -> Option<Condition> {
        let owner = self.frontends.get(&frontend).filter(|owner| owner.service != *service)?;
        let spec = self.spec(service, frontend)?;
        // With a shared health check, or the same backends, the Service loses nothing.
        let shared = spec.kind == FrontendKind::HealthCheck && owner.spec.kind == FrontendKind::HealthCheck;
        let lost = !shared && owner.spec.targets != spec.targets;
        let same_age = self.oldest(frontend).any(|oldest| oldest == service);
        lost.then(|| Condition::ClaimedByOther { frontend, owner: owner.service.clone(), same_age })
    }

    /// The conditions of all Services, with conflicting claims, in the order of Services.
    pub fn conditions(&self) -> Vec<ServiceCondition> {
        let mut conditions: Vec<ServiceCondition> = Vec::new();
        for service in &self.with_conditions {
            let own = self.conditions_of(service).iter().cloned();
            conditions.extend(own.map(|condition| ServiceCondition { service: service.clone(), condition }));
        }
        for frontend in &self.conflicting {
            conditions.extend(self.claimants(*frontend).filter_map(|service| {
                Some(ServiceCondition { service: service.clone(), condition: self.conflict(service, *frontend)? })
            }));
        }
        conditions.sort_by(|a, b| a.service.cmp(&b.service));
        conditions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn needed_addresses_are_counted_one_by_one_or_in_order() {
        let frontend = Frontend { family: Family::V4, address: None, protocol: hcn::schema::Protocol::TCP, port: 80 };
        let other = Frontend { port: 81, ..frontend };
        let mut desired = Desired::default();
        desired
            .uses
            .extend((10..60).map(|last| (Target::Address { address: address(last), local: last % 2 == 0 }, frontend)));
        desired.uses.extend((10..30).map(|last| (Target::Address { address: address(last), local: false }, other)));
        desired.service_addresses.insert((address(70), ServiceName::new("ns", "a")));
        desired.source_vip = Some(address(5));
        let all: BTreeSet<IpAddr> = (0..100).map(address).collect();
        // 20 below 30, 15 odd ones from there, the Service address and the source VIP.
        assert_eq!(desired.count_needed(&all), 37);
        let one_by_one = all.iter().map(|address| desired.count_needed(&BTreeSet::from([*address])));
        assert_eq!(one_by_one.sum::<usize>(), 37);
    }
}
