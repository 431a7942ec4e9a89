//! What keeps HNS from being in sync. Readiness, `--once` and the end of a run use this one answer.

use std::fmt;

use hcn::Kind;

use super::{AuditError, Liveness, Progress, Reconciler, Tally};
use crate::foreign_writer::ForeignWriter;
use crate::network::HostCondition;
use crate::source_vip::SourceVipAbsent;

/// What keeps HNS from being in sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unready {
    /// Services and EndpointSlices were not listed completely yet.
    ClusterIncomplete,
    /// HNS was not audited yet.
    NotAudited,
    /// The last audit failed, or a write got no answer.
    Audit(AuditError),
    /// The last list of a kind lacks objects that HNS has, and may hide that HNS has lost others.
    ListIncomplete(Kind),
    /// Objects of ours whose documents cannot be used. It is not known what they do.
    ObjectsSkipped(usize),
    /// Objects that another program may have changed, or whose contents are from a distrusted v1 list. They are not read yet.
    ObjectsUnverified(usize),
    /// HNS has restarted, and objects may be missing.
    Restarted,
    /// The endpoint whose address is the source VIP has vanished. The load balancers keep the address.
    SourceVipAbsent(SourceVipAbsent),
    /// Frontends that wait for a network that HNS does not have.
    NetworkMissing {
        frontends: usize,
    },
    LoadBalancersPending(Tally),
    EndpointsPending(Tally),
    /// Frontends and addresses whose last write failed.
    RetriesPending(usize),
    /// Objects that are not desired, and whose creation failed and may have taken effect. The next list shows whether HNS has them.
    CreationsUncertain(usize),
    /// Services, frontends and addresses that are planned next, if no other reason explains them.
    ChangesPending(usize),
    /// Another program keeps writing own objects, so the repair of some is delayed.
    ForeignWriter(ForeignWriter),
}

impl Unready {
    /// In CamelCase, for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Unready::ClusterIncomplete => "ClusterIncomplete",
            Unready::NotAudited => "HNSNotAudited",
            Unready::Audit(error) => error.reason(),
            Unready::ListIncomplete(_) => "ListIncomplete",
            Unready::ObjectsSkipped(_) => "ObjectsSkipped",
            Unready::ObjectsUnverified(_) => "ObjectsUnverified",
            Unready::Restarted => "HNSRestarted",
            Unready::SourceVipAbsent(_) => "SourceVIPAbsent",
            Unready::NetworkMissing { .. } => "NetworkMissing",
            Unready::LoadBalancersPending(_) => "LoadBalancersPending",
            Unready::EndpointsPending(_) => "EndpointsPending",
            Unready::RetriesPending(_) => "RetriesPending",
            Unready::CreationsUncertain(_) => "CreationsUncertain",
            Unready::ChangesPending(_) => "ChangesPending",
            Unready::ForeignWriter(_) => "ForeignWriter",
        }
    }
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = |Tally { desired, in_sync }: &Tally| (desired.saturating_sub(*in_sync), *desired);
        match self {
            Unready::ClusterIncomplete => f.write_str("Services and EndpointSlices: not listed completely yet"),
            Unready::NotAudited => f.write_str("HNS: not audited yet"),
            Unready::Audit(error) => error.fmt(f),
            Unready::ListIncomplete(kind) => HostCondition::ListIncomplete { kind: *kind }.fmt(f),
            Unready::ObjectsSkipped(count) => write!(f, "objects of hnsproxy whose documents cannot be read: {count}"),
            Unready::ObjectsUnverified(count) => {
                write!(f, "objects of hnsproxy whose contents are not certain: {count} not read yet")
            }
            Unready::Restarted => f.write_str("objects lost in an HNS restart: pending"),
            Unready::SourceVipAbsent(absent) => absent.fmt(f),
            Unready::NetworkMissing { frontends } => {
                write!(f, "frontends that wait for a missing network: {frontends}")
            }
            Unready::LoadBalancersPending(tally) => {
                let (open, desired) = pending(tally);
                write!(f, "load balancers: {open} of {desired} pending")
            }
            Unready::EndpointsPending(tally) => {
                let (open, desired) = pending(tally);
                write!(f, "endpoints: {open} of {desired} pending")
            }
            Unready::RetriesPending(count) => write!(f, "retries of failed frontends and addresses: {count} pending"),
            Unready::CreationsUncertain(count) => {
                write!(f, "objects whose creation failed and that HNS may have: {count}")
            }
            Unready::ChangesPending(count) => write!(f, "Services, frontends and addresses: {count} pending"),
            Unready::ForeignWriter(foreign_writer) => foreign_writer.fmt(f),
        }
    }
}

impl Reconciler {
    /// Why HNS is not in sync, as far as is known. Empty if it is.
    pub fn unready(&self) -> Vec<Unready> {
        self.unready_of(&self.progress())
    }

    /// As [`unready`](Self::unready), of a [`progress`](Self::progress) that is known: its cost grows with what is pending.
    pub fn unready_of(&self, progress: &Progress) -> Vec<Unready> {
        let mut unready = self.pending(progress);
        if self.liveness() == Liveness::Restarted {
            let position = unready.iter().take_while(|one| one.is_of_inputs()).count();
            unready.insert(position, Unready::Restarted);
        }
        // As long as no repair is delayed, HNS is in sync. The condition stays, since the program may not have stopped.
        let delays = !self.contention.delayed().is_empty();
        unready.extend(self.foreign_writer.clone().filter(|_| delays).map(Unready::ForeignWriter));
        unready
    }

    /// Whether HNS is in sync, as far as is known. Costs nothing while batches are left.
    pub fn is_in_sync(&self) -> bool {
        !self.has_backlog() && self.unready().is_empty()
    }

    /// Whether a run has to plan anything.
    pub(super) fn has_backlog(&self) -> bool {
        self.changes.len() > 0 || !self.dirty.is_empty()
    }

    /// As [`unready`](Self::unready), without the restart of HNS, which is over once nothing else is left, and without the foreign writer, which
    /// explains what is pending.
    pub(super) fn pending(&self, progress: &Progress) -> Vec<Unready> {
        let Progress { complete, load_balancers, endpoints, backlog, failed, .. } = *progress;
        let waiting = self.conditions.waiting().len();
        let open = |tally: Tally| tally.desired.saturating_sub(tally.in_sync);
        // Until an audit is complete, the observed state is empty, and so is the difference from an empty desired state.
        let not_audited = !self.audit.is_first_done() && self.audit.error().is_none();
        // Without any earlier address, the audit has failed for this reason.
        let source_vip = self.environment.source_vip_absent().filter(|absent| absent.in_use.is_some());
        let reasons = [
            (!complete).then_some(Unready::ClusterIncomplete),
            (complete && not_audited).then_some(Unready::NotAudited),
            self.audit.error().cloned().map(Unready::Audit),
            source_vip.cloned().map(Unready::SourceVipAbsent),
            (waiting > 0).then_some(Unready::NetworkMissing { frontends: waiting }),
            // Without those that wait for their network: that reason is named already.
            (open(load_balancers) > waiting).then_some(Unready::LoadBalancersPending(load_balancers)),
            (open(endpoints) > 0).then_some(Unready::EndpointsPending(endpoints)),
            (failed > 0).then_some(Unready::RetriesPending(failed)),
        ];
        let mut pending: Vec<_> = reasons.into_iter().flatten().collect();
        let skipped = Some(self.observed.skipped_of_ours()).filter(|count| *count > 0).map(Unready::ObjectsSkipped);
        let unverified = self.observed.unverified();
        let unverified = Some(unverified).filter(|count| *count > 0).map(Unready::ObjectsUnverified);
        let incomplete = self.observed.incomplete_lists().map(Unready::ListIncomplete).chain(skipped).chain(unverified);
        let position = pending.iter().take_while(|one| one.is_of_inputs()).count();
        pending.splice(position..position, incomplete);
        // The other reasons explain a backlog.
        if pending.is_empty() && backlog > 0 {
            pending.push(Unready::ChangesPending(backlog));
        }
        // While an object is desired, its retry is pending, and finds out whether HNS has it.
        let uncertain = self.observed.perhaps_created_count();
        if pending.is_empty() && uncertain > 0 {
            pending.push(Unready::CreationsUncertain(uncertain));
        }
        pending
    }
}

impl Unready {
    /// Whether something that hnsproxy reads is missing, in contrast to something that it has to write.
    fn is_of_inputs(&self) -> bool {
        matches!(
            self,
            Unready::ClusterIncomplete
                | Unready::NotAudited
                | Unready::Audit(_)
                | Unready::SourceVipAbsent(_)
                | Unready::ListIncomplete(_)
                | Unready::ObjectsSkipped(_)
                | Unready::ObjectsUnverified(_)
        )
    }
}
