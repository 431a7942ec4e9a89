//! The states of the audit, and the transitions between them.
//!
//! ```text
//! Unknown ─┐
//! Idle ────┼── networks and endpoints listed ──→ EndpointsListed ── load balancers listed ──→ Idle
//! Failed ──┘
//!
//! any state ── error ──→ Failed, or Unknown if there was no earlier state
//! any state ── a network was deleted or has another id ──→ Unknown
//! ```

use super::super::AuditError;
use super::AuditScope;

/// What is known of the objects in HNS, and which calls come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AuditState {
    /// There is no earlier state to compare with: no audit has succeeded yet, or objects were deleted with their network. Findings are
    /// therefore not drift.
    ///
    /// - Next calls: the version, if it is not known; the networks; the endpoints. Not interrupted for pending changes.
    /// - Success: [`EndpointsListed`](Self::EndpointsListed).
    /// - Error: [`Unknown`](Self::Unknown) with the error.
    Unknown {
        /// Why the last audit, or a write after it, failed. While there is one, nothing is written.
        error: Option<AuditError>,
    },
    /// The observed state was compared with HNS as a whole. What differs from now on is drift.
    ///
    /// - Next calls: the networks if the scope says so or one may be missing, then the endpoints.
    /// - Success: [`EndpointsListed`](Self::EndpointsListed). If nothing differs, an [audit step](super::super::Reconciler::audit_step)
    ///   pauses there, since pending changes need not wait for a second call; if something differs, load balancers may differ too, and
    ///   are listed at once.
    /// - Error: [`Failed`](Self::Failed).
    Idle,
    /// The networks and endpoints are compared, the load balancers are not yet.
    ///
    /// - Next calls: the load balancers.
    /// - Success: [`Idle`](Self::Idle).
    /// - Error: [`Failed`](Self::Failed), or [`Unknown`](Self::Unknown) if `first`.
    EndpointsListed {
        /// Of this audit: it decides how the load balancers are listed.
        scope: AuditScope,
        /// Whether this audit began as [`Unknown`](Self::Unknown): its findings are not drift.
        first: bool,
    },
    /// A call failed, or no network can be used. The observed state stays as it is, since an error says nothing about objects, and nothing
    /// is written. What differs at the next audit is drift: that is how the losses of a restarted HNS are found.
    ///
    /// - Next calls: the networks, even if they were known, then the endpoints. Not interrupted for pending changes.
    /// - Success: [`EndpointsListed`](Self::EndpointsListed).
    /// - Error: [`Failed`](Self::Failed) with the new error.
    Failed {
        /// Why.
        error: AuditError,
    },
}

/// What HNS answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The networks and endpoints; at [`AuditScope::Networks`], it can be the networks alone.
    Endpoints {
        /// The scope of the audit.
        scope: AuditScope,
        /// Whether a network was removed, added again, or modified. The transition does not depend on it: whether objects were deleted with it
        /// is [`NetworkGone`](Self::NetworkGone).
        network_changed: bool,
    },
    /// Endpoints or load balancers, without the documents of some whose reads can wait. The next step lists them again and continues.
    Part {
        /// As in [`Endpoints`](Self::Endpoints).
        network_changed: bool,
    },
    /// The load balancers.
    LoadBalancers,
    /// A known network was deleted, or has another id. The audit continues.
    NetworkGone,
    /// A call of an audit failed, or HNS did not answer to a write.
    Error(AuditError),
}

impl Default for AuditState {
    fn default() -> Self {
        AuditState::Unknown { error: None }
    }
}

impl AuditState {
    /// The state after an answer.
    pub(super) fn after(self, answer: Answer) -> Self {
        match (self, answer) {
            (state, Answer::Endpoints { scope, .. }) => {
                AuditState::EndpointsListed { scope, first: state.expects_nothing() }
            }
            // The contents of what is known were compared already.
            (AuditState::EndpointsListed { first, .. }, Answer::Part { .. }) => {
                AuditState::EndpointsListed { scope: AuditScope::Ids, first }
            }
            (state, Answer::Part { .. }) => state,
            (_, Answer::LoadBalancers) => AuditState::Idle,
            // The error stays until an audit has succeeded: it prevents writes.
            (state, Answer::NetworkGone) => AuditState::Unknown { error: state.into_error() },
            // There is still no earlier state, so the next findings are not drift either.
            (state, Answer::Error(error)) if state.expects_nothing() => AuditState::Unknown { error: Some(error) },
            (_, Answer::Error(error)) => AuditState::Failed { error },
        }
    }

    /// The state in which a new audit begins: one that has paused is abandoned.
    pub(super) fn restarted(self) -> Self {
        match self {
            // The endpoints of a paused audit may be out of date by now.
            AuditState::EndpointsListed { first: false, .. } => AuditState::Idle,
            AuditState::EndpointsListed { first: true, .. } => AuditState::Unknown { error: None },
            state => state,
        }
    }

    /// Whether there is no earlier state to compare with. Findings are then not drift.
    pub(super) fn expects_nothing(&self) -> bool {
        matches!(self, AuditState::Unknown { .. } | AuditState::EndpointsListed { first: true, .. })
    }

    pub(super) fn error(&self) -> Option<&AuditError> {
        match self {
            AuditState::Unknown { error } => error.as_ref(),
            AuditState::Failed { error } => Some(error),
            AuditState::Idle | AuditState::EndpointsListed { .. } => None,
        }
    }

    fn into_error(self) -> Option<AuditError> {
        match self {
            AuditState::Unknown { error } => error,
            AuditState::Failed { error } => Some(error),
            AuditState::Idle | AuditState::EndpointsListed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: AuditScope = AuditScope::LoadBalancerContents;
    const FIRST: AuditState = AuditState::EndpointsListed { scope: SCOPE, first: true };
    const LATER: AuditState = AuditState::EndpointsListed { scope: SCOPE, first: false };

    fn error(name: &str) -> AuditError {
        AuditError::NetworkAbsent { name: name.into(), known: Vec::new() }
    }

    fn unknown(error: Option<AuditError>) -> AuditState {
        AuditState::Unknown { error }
    }

    fn failed() -> AuditState {
        AuditState::Failed { error: error("before") }
    }

    #[test]
    fn an_audit_lists_endpoints_then_load_balancers() {
        for (before, listed) in [
            (unknown(None), FIRST),
            (unknown(Some(error("before"))), FIRST),
            (AuditState::Idle, LATER),
            (failed(), LATER),
        ] {
            let after = before.after(Answer::Endpoints { scope: SCOPE, network_changed: false });
            assert_eq!(after, listed);
            assert_eq!(after.after(Answer::LoadBalancers), AuditState::Idle);
        }
    }

    #[test]
    fn a_list_in_part_is_continued_without_contents() {
        let part = || Answer::Part { network_changed: false };
        assert_eq!(AuditState::Idle.after(part()), AuditState::Idle);
        assert_eq!(LATER.after(part()), AuditState::EndpointsListed { scope: AuditScope::Ids, first: false });
    }

    #[test]
    fn an_error_keeps_what_was_expected() {
        for state in [AuditState::Idle, LATER, failed()] {
            assert_eq!(state.after(Answer::Error(error("now"))), AuditState::Failed { error: error("now") });
        }
        for state in [unknown(None), unknown(Some(error("before"))), FIRST] {
            assert_eq!(state.after(Answer::Error(error("now"))), unknown(Some(error("now"))));
        }
    }

    #[test]
    fn a_deleted_network_expects_nothing_and_keeps_the_error() {
        for state in [unknown(None), AuditState::Idle, FIRST, LATER] {
            assert_eq!(state.after(Answer::NetworkGone), unknown(None));
        }
        for state in [unknown(Some(error("before"))), failed()] {
            assert_eq!(state.after(Answer::NetworkGone), unknown(Some(error("before"))));
        }
    }

    #[test]
    fn a_paused_audit_is_abandoned_by_the_next() {
        assert_eq!((FIRST.restarted(), LATER.restarted()), (unknown(None), AuditState::Idle));
        for state in [unknown(None), AuditState::Idle, failed()] {
            assert_eq!(state.clone().restarted(), state);
        }
    }
}
