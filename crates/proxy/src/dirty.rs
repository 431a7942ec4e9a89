//! What a change, a step or a retry is about: one frontend or one address ([`Subject`]), or a set of them ([`Dirty`]).

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::frontend::Frontend;

/// The frontend or address that a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The load balancer of a frontend.
    Frontend(Frontend),
    /// The endpoint of ours at an address.
    Address(IpAddr),
}

impl Subject {
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Subject::Address(address) => Some(address),
            Subject::Frontend(_) => None,
        }
    }

    pub fn frontend(self) -> Option<Frontend> {
        match self {
            Subject::Frontend(frontend) => Some(frontend),
            Subject::Address(_) => None,
        }
    }
}

/// The frontends and addresses that are dirty: the next run plans them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dirty {
    /// Frontends whose load balancer may need a write.
    pub frontends: BTreeSet<Frontend>,
    /// Addresses whose endpoint may have to be created or deleted.
    pub addresses: BTreeSet<IpAddr>,
}

impl Dirty {
    pub fn insert(&mut self, subject: Subject) {
        match subject {
            Subject::Frontend(frontend) => self.frontends.insert(frontend),
            Subject::Address(address) => self.addresses.insert(address),
        };
    }

    pub fn contains(&self, subject: Subject) -> bool {
        match subject {
            Subject::Frontend(frontend) => self.frontends.contains(&frontend),
            Subject::Address(address) => self.addresses.contains(&address),
        }
    }

    /// Adds another set. Takes time proportional to the smaller set.
    pub fn merge(&mut self, other: Dirty) {
        merge(&mut self.frontends, other.frontends);
        merge(&mut self.addresses, other.addresses);
    }

    pub fn is_empty(&self) -> bool {
        self.frontends.is_empty() && self.addresses.is_empty()
    }
}

fn merge<T: Ord>(set: &mut BTreeSet<T>, mut other: BTreeSet<T>) {
    if set.len() < other.len() {
        std::mem::swap(set, &mut other);
    }
    set.extend(other);
}
