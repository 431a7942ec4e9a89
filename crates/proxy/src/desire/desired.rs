//! All Services' wishes, and who has which frontend.
//!
//! Kept up to date Service by Service: a change costs work proportional to that Service's frontends and backends. Every frontend
//! has one owner, the oldest Service that claims it; only owners' wishes count.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{TrafficPolicy, Wishes};
use crate::condition::{Notice, Problem};
use crate::dirty::Dirty;
use crate::frontend::{EndpointPurpose, Frontend, FrontendKind, LoadBalancerSpec, Target};
use crate::model::Family;
use crate::model::ServiceName;

/// A Service's claim to a frontend. The order is that of precedence: the frontend, then the oldest, then by name.
type Claim = (Frontend, i64, ServiceName);

/// Who needs a target. The order makes the users of one target neighbours.
type Use = (Target, Frontend);

/// The load balancer wanted for a frontend, and the Service that wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The Service.
    pub service: ServiceName,
    /// What it wants.
    pub spec: Arc<LoadBalancerSpec>,
}

/// What one Service wants.
#[derive(Debug, Clone, Default)]
struct Entry {
    created: i64,
    specs: Vec<Arc<LoadBalancerSpec>>,
    service_addresses: Vec<IpAddr>,
    problems: Vec<Problem>,
    without_local: Vec<(TrafficPolicy, Family)>,
}

/// What all Services want.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    entries: FxHashMap<ServiceName, Entry>,
    claims: BTreeSet<Claim>,
    owned: FxHashMap<Frontend, Owned>,
    uses: BTreeSet<Use>,
    service_addresses: BTreeSet<(IpAddr, ServiceName)>,
    source_vip: Option<IpAddr>,
    /// How many frontends have no backend that serves.
    without_backends: usize,
    /// How many addresses are backends that need an endpoint of ours.
    remote: usize,
    /// How many ports a policy Local keeps traffic from all that serve.
    without_local: FxHashMap<(TrafficPolicy, Family), usize>,
    /// Services that can't have all they ask for.
    troubled: BTreeSet<ServiceName>,
    /// Frontends that several Services claim.
    contested: BTreeSet<Frontend>,
}

impl Desired {
    /// Replaces what a Service wants; with no wishes, forgets it.
    pub fn set(&mut self, name: &ServiceName, created: i64, wishes: Wishes, dirty: &mut Dirty) {
        let old = self.entries.remove(name).unwrap_or_default();
        let mut old_specs: FxHashMap<Frontend, Arc<LoadBalancerSpec>> =
            old.specs.into_iter().map(|spec| (spec.frontend, spec)).collect();
        let mut specs = Vec::with_capacity(wishes.load_balancers.len());
        let mut changed = Vec::new();
        for spec in wishes.load_balancers {
            match old_specs.remove(&spec.frontend) {
                Some(same) if *same == spec && old.created == created => specs.push(same),
                before => {
                    if before.is_some() {
                        self.claims.remove(&(spec.frontend, old.created, name.clone()));
                    }
                    self.claims.insert((spec.frontend, created, name.clone()));
                    changed.push(spec.frontend);
                    specs.push(Arc::new(spec));
                }
            }
        }
        for frontend in old_specs.into_keys() {
            self.claims.remove(&(frontend, old.created, name.clone()));
            changed.push(frontend);
        }
        for address in &old.service_addresses {
            if !wishes.service_addresses.contains(address) {
                self.service_addresses.remove(&(*address, name.clone()));
                dirty.addresses.insert(*address);
            }
        }
        for address in &wishes.service_addresses {
            if self.service_addresses.insert((*address, name.clone())) {
                dirty.addresses.insert(*address);
            }
        }
        for kind in &old.without_local {
            self.without_local.entry(*kind).and_modify(|count| *count -= 1);
        }
        for kind in &wishes.without_local {
            *self.without_local.entry(*kind).or_default() += 1;
        }
        let Wishes { service_addresses, problems, without_local, .. } = wishes;
        let entry = Entry { created, specs, service_addresses, problems, without_local };
        if entry.problems.is_empty() {
            self.troubled.remove(name);
        } else {
            self.troubled.insert(name.clone());
        }
        // What it counts for, it counts for while it is kept.
        let empty = entry.specs.is_empty() && entry.service_addresses.is_empty() && entry.problems.is_empty();
        if !empty || !entry.without_local.is_empty() {
            self.entries.insert(name.clone(), entry);
        }
        for frontend in changed {
            self.settle(frontend, dirty);
        }
    }

    /// Sets the source address that overlay networks need an endpoint for.
    pub fn set_source_vip(&mut self, source_vip: Option<IpAddr>, dirty: &mut Dirty) {
        if self.source_vip != source_vip {
            dirty.addresses.extend(self.source_vip.into_iter().chain(source_vip));
            self.source_vip = source_vip;
        }
    }

    /// Finds the owner of a frontend anew.
    fn settle(&mut self, frontend: Frontend, dirty: &mut Dirty) {
        let mut claims = self
            .claimants(frontend)
            .filter_map(|service| Some((service.clone(), self.spec(service, frontend)?.clone())));
        let mut owner = claims.next().map(|(service, spec)| Owned { service, spec });
        let mut others = claims.peekable();
        let contested = others.peek().is_some();
        // Services that share an address share its health check too: one that serves is enough.
        if owner.as_ref().is_some_and(|o| o.spec.kind == FrontendKind::HealthCheck && o.spec.targets.is_empty())
            && let Some((service, spec)) = others.find(|(_, spec)| !spec.targets.is_empty())
        {
            owner = Some(Owned { service, spec });
        }
        drop(others);
        if contested {
            self.contested.insert(frontend);
        } else {
            self.contested.remove(&frontend);
        }
        let old = match owner.clone() {
            Some(owner) => self.owned.insert(frontend, owner),
            None => self.owned.remove(&frontend),
        };
        if old == owner {
            return;
        }
        dirty.frontends.insert(frontend);
        let silent = |owned: &Option<Owned>| owned.as_ref().is_some_and(|owned| owned.spec.targets.is_empty());
        self.without_backends += usize::from(silent(&owner));
        self.without_backends -= usize::from(silent(&old));
        let targets = |owned: &Option<Owned>| -> FxHashSet<Target> {
            owned.iter().flat_map(|owned| owned.spec.targets.iter().copied()).collect()
        };
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

    fn claimants(&self, frontend: Frontend) -> impl Iterator<Item = &ServiceName> {
        let first = (frontend, i64::MIN, ServiceName::new("", ""));
        self.claims.range(first..).take_while(move |(f, ..)| *f == frontend).map(|(_, _, service)| service)
    }

    /// The load balancer wanted for a frontend.
    pub fn owned(&self, frontend: Frontend) -> Option<&Owned> {
        self.owned.get(&frontend)
    }

    /// All load balancers wanted, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Owned> {
        self.owned.values()
    }

    /// The frontends that use a target.
    pub fn users(&self, target: Target) -> impl Iterator<Item = Frontend> {
        // The least frontend there is: the derived order compares families first, then "no address".
        let first =
            Frontend { family: crate::model::Family::V4, address: None, protocol: hcn::schema::Protocol(0), port: 0 };
        self.uses.range((target, first)..).take_while(move |(t, _)| *t == target).map(|(_, frontend)| *frontend)
    }

    /// The frontends that use an address, wherever it runs.
    pub fn users_of(&self, address: IpAddr) -> impl Iterator<Item = Frontend> {
        [true, false].into_iter().flat_map(move |local| self.users(Target::Address { address, local }))
    }

    /// What an endpoint of ours at an address would be for; none, if nobody needs one. A Service's own address comes first: the
    /// overlay must answer for it.
    pub fn purpose(&self, address: IpAddr) -> Option<EndpointPurpose> {
        if self.source_vip == Some(address) {
            Some(EndpointPurpose::SourceVip)
        } else if self.service_at(address).is_some() {
            Some(EndpointPurpose::ServiceAddress)
        } else {
            let backend = self.users(Target::Address { address, local: false }).next();
            backend.map(|_| EndpointPurpose::Backend)
        }
    }

    /// The first Service that has an address as its own, on overlay networks.
    pub fn service_at(&self, address: IpAddr) -> Option<&ServiceName> {
        let first = (address, ServiceName::new("", ""));
        self.service_addresses.range(first..).next().filter(|(a, _)| *a == address).map(|(_, service)| service)
    }

    /// All addresses that may need an endpoint of ours.
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        let targets = self.uses.iter().filter_map(|(target, _)| match target {
            Target::Address { address, local: false } => Some(*address),
            _ => None,
        });
        targets.chain(self.service_addresses.iter().map(|(address, _)| *address)).chain(self.source_vip).collect()
    }

    /// How many load balancers are wanted.
    pub fn load_balancers(&self) -> usize {
        self.owned.len() - self.without_backends
    }

    /// How many frontends have no load balancer because no backend serves.
    pub fn without_backends(&self) -> usize {
        self.without_backends
    }

    /// How many ports a policy Local keeps traffic of a family from all that serve.
    pub fn without_local(&self, policy: TrafficPolicy, family: Family) -> usize {
        self.without_local.get(&(policy, family)).copied().unwrap_or_default()
    }

    /// How many endpoints of ours are wanted.
    pub fn endpoints(&self) -> usize {
        self.remote + self.service_addresses.len() + usize::from(self.source_vip.is_some())
    }

    /// How many entries there are in all.
    pub(crate) fn size(&self) -> usize {
        let sets = [self.claims.len(), self.uses.len(), self.service_addresses.len(), self.troubled.len()];
        sets.into_iter().sum::<usize>() + self.entries.len() + self.owned.len() + self.contested.len()
    }

    /// The load balancers that a Service wants, whether it has their frontends or not, in the order of frontends.
    pub fn specs_of(&self, service: &ServiceName) -> &[Arc<LoadBalancerSpec>] {
        self.entries.get(service).map(|entry| entry.specs.as_slice()).unwrap_or_default()
    }

    /// The addresses of a Service that overlay networks need an endpoint for.
    pub fn service_addresses_of(&self, service: &ServiceName) -> &[IpAddr] {
        self.entries.get(service).map(|entry| entry.service_addresses.as_slice()).unwrap_or_default()
    }

    /// What a Service can't have for reasons of its own.
    pub fn problems_of(&self, service: &ServiceName) -> &[Problem] {
        self.entries.get(service).map(|entry| entry.problems.as_slice()).unwrap_or_default()
    }

    /// What keeps a Service from a frontend that it claims.
    pub fn contest(&self, service: &ServiceName, frontend: Frontend) -> Option<Problem> {
        let owned = self.owned.get(&frontend).filter(|owned| owned.service != *service)?;
        let spec = self.spec(service, frontend)?;
        // A health check on the same port serves all.
        let shared = spec.kind == FrontendKind::HealthCheck && owned.spec.kind == FrontendKind::HealthCheck;
        let lost = !shared && owned.spec.targets != spec.targets;
        lost.then(|| Problem::ClaimedByOther { frontend, owner: owned.service.clone() })
    }

    /// What Services can't have for reasons of their own, and frontends claimed twice.
    pub fn notices(&self) -> Vec<Notice> {
        let mut notices: Vec<Notice> = Vec::new();
        for service in &self.troubled {
            let problems = self.problems_of(service).iter().cloned();
            notices.extend(problems.map(|problem| Notice { service: service.clone(), problem }));
        }
        for frontend in &self.contested {
            notices.extend(self.claimants(*frontend).filter_map(|service| {
                Some(Notice { service: service.clone(), problem: self.contest(service, *frontend)? })
            }));
        }
        notices.sort_by(|a, b| a.service.cmp(&b.service));
        notices
    }
}
