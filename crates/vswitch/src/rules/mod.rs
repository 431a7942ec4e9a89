//! The rules of all load balancers, by frontend, and how they follow the documents.

mod rule;

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::{LoadBalancer, LoadBalancerFlags};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

pub use rule::Backend;
pub(crate) use rule::{Frontend, Rule};

use crate::assumptions::{Assumptions, BackendOrder, RemovedEndpoint};
use crate::objects::Objects;

/// When a load balancer was created, and when its rules last changed, as numbers of changes. Flows keep it, to see what happened since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) created: u32,
    pub(crate) modified: u32,
}

/// What is known of the endpoints of a load balancer.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    network: Option<Guid>,
    /// In the order of the document.
    addresses: SmallVec<[(Guid, SmallVec<[IpAddr; 1]>); 4]>,
}

#[derive(Debug)]
struct Entry {
    document: LoadBalancer,
    created: u32,
    resolved: Resolved,
    frontends: SmallVec<[Frontend; 1]>,
}

/// Which ports have the rules that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affected {
    None,
    Network(Guid),
    All,
}

impl Affected {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, affected) | (affected, Self::None) => affected,
            (one, other) if one == other => one,
            _ => Self::All,
        }
    }
}

/// The rules of all load balancers.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    entries: FxHashMap<Guid, Entry>,
    /// A frontend without rules had a load balancer before.
    by_frontend: FxHashMap<Frontend, SmallVec<[(Rule, Revision); 1]>>,
    by_endpoint: FxHashMap<Guid, FxHashSet<Guid>>,
    changes: u32,
}

impl Rules {
    /// The rules of a frontend, oldest first. `Some` without rules: the frontend had a load balancer before.
    pub(crate) fn of(&self, frontend: &Frontend) -> Option<&[(Rule, Revision)]> {
        self.by_frontend.get(frontend).map(SmallVec::as_slice)
    }

    /// Takes the document of a load balancer, or its removal. Returns whose rules changed.
    pub(crate) fn set(
        &mut self,
        id: Guid,
        document: Option<LoadBalancer>,
        objects: &Objects,
        assumptions: &Assumptions,
    ) -> Affected {
        self.changes += 1;
        let mut old = self.entries.remove(&id);
        let before = old.as_ref().map_or(Affected::None, affected);
        if let Some(old) = &old {
            self.unlink(id, &old.document);
        }
        let Some(document) = document else {
            if let Some(old) = &mut old {
                self.place(id, old, SmallVec::new());
            }
            return before;
        };
        for endpoint in document.endpoint_ids() {
            self.by_endpoint.entry(endpoint).or_default().insert(id);
        }
        let (created, frontends) = old.map_or((self.changes, SmallVec::new()), |old| (old.created, old.frontends));
        let mut entry = Entry { document, created, resolved: Resolved::default(), frontends };
        self.compile(id, &mut entry, objects, assumptions);
        let after = affected(&entry);
        self.entries.insert(id, entry);
        before.and(after)
    }

    /// Compiles the load balancers with an endpoint again, after the endpoint changed.
    pub(crate) fn endpoint_changed(&mut self, endpoint: Guid, objects: &Objects, assumptions: &Assumptions) {
        self.changes += 1;
        for id in self.by_endpoint.get(&endpoint).cloned().unwrap_or_default() {
            if let Some(mut entry) = self.entries.remove(&id) {
                self.compile(id, &mut entry, objects, assumptions);
                self.entries.insert(id, entry);
            }
        }
    }

    /// Makes all load balancers count as created again, in the order in which they were created.
    pub(crate) fn recreate_all(&mut self) {
        let mut entries: Vec<&mut Entry> = self.entries.values_mut().collect();
        entries.sort_unstable_by_key(|entry| entry.created);
        for entry in entries {
            self.changes += 1;
            entry.created = self.changes;
        }
        for (rule, revision) in self.by_frontend.values_mut().flatten() {
            if let Some(entry) = self.entries.get(&rule.load_balancer) {
                revision.created = entry.created;
            }
        }
    }

    fn compile(&mut self, id: Guid, entry: &mut Entry, objects: &Objects, assumptions: &Assumptions) {
        entry.resolved = resolve(entry, objects, assumptions);
        let mut rules = rule::compile(id, &entry.document, &entry.resolved);
        if assumptions.order == BackendOrder::Sorted {
            rules.iter_mut().for_each(|rule| rule.backends.sort_by_key(|backend| backend.address));
        }
        self.place(id, entry, rules);
    }

    /// Replaces the rules of a load balancer. Equal rules keep their revision.
    fn place(&mut self, id: Guid, entry: &mut Entry, rules: SmallVec<[Rule; 1]>) {
        let frontends = rules.iter().map(|rule| rule.frontend).collect();
        let old = std::mem::replace(&mut entry.frontends, frontends);
        for frontend in old.iter().filter(|frontend| !entry.frontends.contains(frontend)) {
            if let Some(of_frontend) = self.by_frontend.get_mut(frontend) {
                of_frontend.retain(|(rule, _)| rule.load_balancer != id);
            }
        }
        let revision = Revision { created: entry.created, modified: self.changes };
        for rule in rules {
            let of_frontend = self.by_frontend.entry(rule.frontend).or_default();
            match of_frontend.iter_mut().find(|(other, _)| other.load_balancer == id) {
                Some((other, _)) if *other == rule => {}
                Some(of_rule) => *of_rule = (rule, revision),
                None => {
                    of_frontend.push((rule, revision));
                    of_frontend.sort_by_key(|(_, revision)| revision.created);
                }
            }
        }
    }

    fn unlink(&mut self, id: Guid, document: &LoadBalancer) {
        for endpoint in document.endpoint_ids() {
            if let Some(ids) = self.by_endpoint.get_mut(&endpoint) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_endpoint.remove(&endpoint);
                }
            }
        }
    }
}

/// Rules with direct server return are on the ports of their network. Others concern all ports: packets of pods pass the rules of the host
/// port.
fn affected(entry: &Entry) -> Affected {
    let is_dsr = entry.document.flags.contains(LoadBalancerFlags::DSR);
    entry.resolved.network.filter(|_| is_dsr).map_or(Affected::All, Affected::Network)
}

/// The addresses of the endpoints of a load balancer. A removed endpoint keeps the addresses it had, if it keeps its share.
fn resolve(entry: &Entry, objects: &Objects, assumptions: &Assumptions) -> Resolved {
    let mut resolved = Resolved::default();
    for endpoint in entry.document.endpoint_ids() {
        let known = objects.endpoint(endpoint);
        let before = entry.resolved.addresses.iter().find(|(id, _)| *id == endpoint);
        let addresses = match (known, before) {
            (Some(state), _) => state.addresses.iter().copied().collect(),
            (None, Some((_, addresses))) if assumptions.removed_endpoint == RemovedEndpoint::KeepsShare => {
                addresses.clone()
            }
            (None, _) => continue,
        };
        resolved.network = resolved.network.or(known.and_then(|state| state.network));
        resolved.addresses.push((endpoint, addresses));
    }
    // The network is that of the endpoints, so it stays as long as their addresses do.
    if !resolved.addresses.is_empty() {
        resolved.network = resolved.network.or(entry.resolved.network);
    }
    resolved
}
