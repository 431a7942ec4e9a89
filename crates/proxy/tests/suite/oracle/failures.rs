//! Which frontends and addresses a write is about, and which have failed because of a call.

use std::net::IpAddr;

use hcn::call::Call;
use hcn::schema::LoadBalancer;
use hcn::{Class, Guid, Kind};
use hcn_emulator::Emulator;
use proxy::Frontend;

use super::difference::{Snapshot, Subject, address_of};
use super::job::Job;
use super::witness::Witness;
use super::write::{Write, list_of};

impl Witness {
    /// The job of this thread.
    pub(super) fn job(&mut self) -> &mut Job {
        self.jobs.entry(std::thread::current().id()).or_default()
    }

    /// Whether a write restores a load balancer that was deleted, because HNS refused to create its replacement. The replacement has failed then.
    pub(super) fn is_restoration(&mut self, write: &Write, succeeded: bool) -> bool {
        let job = self.job();
        let (before, written) = (job.replacing.take(), job.written.first());
        let is_on = |frontends: &[Frontend]| frontends.iter().any(|one| written == Some(&Subject::Frontend(*one)));
        match (write, before) {
            (Write::DeleteLoadBalancer(_), _) if succeeded => {
                let frontend = |subject: &Subject| match subject {
                    Subject::Frontend(frontend) => Some(*frontend),
                    _ => None,
                };
                job.replacing = Some((job.written.iter().filter_map(frontend).collect(), false));
                false
            }
            (Write::CreateLoadBalancer(_), Some((frontends, refused))) if is_on(&frontends) => {
                job.replacing = (!refused && !succeeded).then_some((frontends, true));
                refused
            }
            _ => false,
        }
    }

    /// Records that HNS was unavailable for a write of a job, or for a read after it, and that the job ends: nothing may be written before the next
    /// lists. Jobs of other threads that have deleted a load balancer continue.
    pub(super) fn job_unanswered(&mut self, written: &[Subject]) {
        self.require_lists();
        self.unrecorded.insert(std::thread::current().id());
        self.released.retain(|(released, _)| !written.contains(&Subject::Frontend(*released)));
    }

    /// Records a call that is not a write, with the class of its error. If it fails during a run, the write to which it belongs has failed.
    pub(super) fn read(
        &mut self,
        call: &Call,
        object: Option<(Kind, Guid)>,
        failure: Option<Class>,
        is_of_audit: bool,
        emulator: &Emulator,
    ) {
        let written = std::mem::take(&mut self.job().written);
        let Some(class) = failure else { return };
        let is_list = list_of(call).is_some() || matches!(call, Call::Hns { .. } if object.is_none());
        if class == Class::Unavailable && !is_list {
            self.job_unanswered(&written);
        }
        // After an error of class `Unavailable`, everything is written again. A failed read of an audit fails only the audit.
        if class == Class::Unavailable || is_of_audit {
            return;
        }
        let snapshot = Snapshot::of(emulator);
        match (call, object) {
            // What was written is read back.
            (Call::Query { kind: Kind::Endpoint | Kind::LoadBalancer, .. }, _) => self.failed.extend(written),
            // An endpoint was to be created. The call does not say which.
            (Call::Open { kind: Kind::Network, .. }, _) => {
                let backends = self.frontends.values().flatten().flat_map(|one| &one.backends).filter_map(address_of);
                let has = |address: &IpAddr| {
                    snapshot.endpoints.values().any(|one| one.addresses().any(|own| own == *address))
                };
                let missing = backends.filter(|address| !has(address)).map(Subject::Address);
                self.failed.extend(missing);
            }
            // A load balancer was to be modified.
            (Call::Open { .. }, Some((Kind::LoadBalancer, id))) => {
                let document = snapshot.load_balancers.get(&id).into_iter();
                self.failed.extend(document.flat_map(Frontend::of).map(Subject::Frontend));
            }
            _ => {}
        }
    }

    /// Records what a write is about. `deleted` is the last document of the load balancer that is deleted, even if HNS no longer has it.
    pub(super) fn begin_write(&mut self, write: &Write, deleted: Option<&LoadBalancer>) {
        self.job().written = match write {
            Write::CreateEndpoint(endpoint) => endpoint.addresses().map(Subject::Address).collect(),
            Write::DeleteEndpoint(id) => {
                self.seen.get(id).into_iter().flatten().copied().map(Subject::Address).collect()
            }
            other => {
                let document = other.load_balancer().or(deleted);
                document.into_iter().flat_map(Frontend::of).map(Subject::Frontend).collect()
            }
        };
    }
}
