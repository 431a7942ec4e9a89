//! Frontends and addresses whose last write failed. The process does not write them again before their retry is due, even if they belong to
//! DNS.

use std::collections::HashSet;
use std::net::IpAddr;

use hcn::call::Call;
use hcn::{Class, Guid, Kind};
use hcn_emulator::Emulator;
use proxy::Frontend;

use super::difference::{Snapshot, Subject, address_of};
use super::wanted::Frontends;
use super::write::Write;

#[derive(Debug, Default)]
pub(super) struct Failures {
    subjects: HashSet<Subject>,
    /// The frontends of the load balancer that the last write deleted, and whether HNS has refused its successor since. What is created then
    /// is the old one.
    replacing: Option<(Vec<Frontend>, bool)>,
    /// What the last call has written.
    written: Vec<Subject>,
}

impl Failures {
    pub(super) fn contains(&self, subject: &Subject) -> bool {
        self.subjects.contains(subject)
    }

    pub(super) fn begin_run(&mut self) {
        self.replacing = None;
    }

    /// Records a write. `class` is that of its error.
    pub(super) fn wrote(&mut self, write: &Write, subjects: Vec<Subject>, class: Option<Class>) {
        let restores = self.is_restoration(write, &subjects, class.is_none());
        match class {
            // It is written again after an audit, and keeps its place.
            Some(Class::Unavailable) => {}
            Some(_) => self.subjects.extend(&subjects),
            // A frontend may have several load balancers, of which only one could be deleted.
            None if restores || matches!(write, Write::DeleteLoadBalancer(_)) => {}
            None => self.subjects.retain(|subject| !subjects.contains(subject)),
        }
        self.written = subjects;
    }

    /// Whether a write restores the load balancer that was deleted before HNS refused its successor. What is desired has failed then.
    fn is_restoration(&mut self, write: &Write, subjects: &[Subject], succeeded: bool) -> bool {
        let frontend = |subject: &Subject| match subject {
            Subject::Frontend(frontend) => Some(*frontend),
            _ => None,
        };
        let on: Vec<Frontend> = subjects.iter().filter_map(frontend).collect();
        match (write, self.replacing.take()) {
            (Write::DeleteLoadBalancer(_), _) if succeeded => {
                self.replacing = Some((on, false));
                false
            }
            (Write::CreateLoadBalancer(_), Some((deleted, refused))) if on.iter().any(|one| deleted.contains(one)) => {
                self.replacing = (!refused && !succeeded).then_some((deleted, true));
                refused
            }
            _ => false,
        }
    }

    /// Records a call that is no write. If it fails while the process writes, the write that it belongs to has failed.
    pub(super) fn read(
        &mut self,
        call: &Call,
        object: Option<(Kind, Guid)>,
        failed: bool,
        frontends: &Frontends,
        emulator: &Emulator,
    ) {
        let written = std::mem::take(&mut self.written);
        if !failed {
            return;
        }
        let snapshot = Snapshot::of(emulator);
        match (call, object) {
            // What was written is read back.
            (Call::Query { kind: Kind::Endpoint | Kind::LoadBalancer, .. }, _) => self.subjects.extend(written),
            // An endpoint was to be created. The call does not say which.
            (Call::Open { kind: Kind::Network, .. }, _) => {
                let backends = frontends.values().flatten().flat_map(|one| &one.backends).filter_map(address_of);
                let is_at = |address: &IpAddr| {
                    snapshot.endpoints.values().any(|one| one.addresses().any(|own| own == *address))
                };
                self.subjects.extend(backends.filter(|address| !is_at(address)).map(Subject::Address));
            }
            // A load balancer was to be modified.
            (Call::Open { .. }, Some((Kind::LoadBalancer, id))) => {
                let document = snapshot.load_balancers.get(&id).into_iter();
                self.subjects.extend(document.flat_map(Frontend::of).map(Subject::Frontend));
            }
            _ => {}
        }
    }
}
