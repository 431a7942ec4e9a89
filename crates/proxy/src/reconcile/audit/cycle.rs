//! The cycle of audits: which audit lists more than ids.

/// The number of audits in a cycle. At the default interval of 5 s, each detail is listed once a minute.
const AUDITS: u32 = 12;
/// The details are spread evenly, so that audits have similar costs.
const NETWORKS: u32 = 0;
const ENDPOINT_CONTENTS: u32 = 4;
const LOAD_BALANCER_CONTENTS: u32 = 8;
/// The subnets of other nodes are read once in this number of audits: every 30 s at the default interval. The network
/// plugin (flannel) adds them while the node runs, and neither an id nor a notification shows it. A plan that needs one
/// reads them at once, see [`recheck`](super::recheck).
const SUBNETS_EVERY: u32 = 6;

/// What an audit lists. With one network it is two calls, and one more if the subnets of other nodes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AuditScope {
    /// The ids of endpoints and of load balancers.
    Ids,
    /// The networks by name instead of the endpoints, and the ids of load balancers. All other audits list the
    /// endpoints by network id, which shows that the network is there; only this one shows that it still has its name.
    /// Checking both would take a third call.
    Networks,
    /// The contents of endpoints (only the fields of the HNS v1 schema), and the ids of load balancers.
    EndpointContents,
    /// The ids of endpoints, and the contents of load balancers (only the fields of the HNS v1 schema).
    LoadBalancerContents,
}

/// The position in the cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cycle {
    position: u32,
}

impl Cycle {
    /// Begins the next audit. Failed audits count too: what one of them did not read is read in the next cycle.
    pub(super) fn advance(&mut self) -> AuditScope {
        self.position = (self.position + 1) % AUDITS;
        match self.position {
            NETWORKS => AuditScope::Networks,
            ENDPOINT_CONTENTS => AuditScope::EndpointContents,
            LOAD_BALANCER_CONTENTS => AuditScope::LoadBalancerContents,
            _ => AuditScope::Ids,
        }
    }

    /// Whether the audit begins a new cycle.
    pub(super) fn is_at_start(self) -> bool {
        self.position == NETWORKS
    }

    /// Whether the audit reads the subnets of other nodes, if there is an overlay network: one call more.
    pub(super) fn reads_subnets(self) -> bool {
        self.position.is_multiple_of(SUBNETS_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_detail_is_listed_once_in_a_cycle() {
        let mut cycle = Cycle::default();
        let scopes: Vec<_> = (0..24).map(|_| cycle.advance()).collect();
        let mut expected = vec![AuditScope::Ids; 12];
        (expected[3], expected[7], expected[11]) =
            (AuditScope::EndpointContents, AuditScope::LoadBalancerContents, AuditScope::Networks);
        assert_eq!(scopes, [expected.clone(), expected].concat());
    }

    #[test]
    fn subnets_are_read_twice_in_a_cycle() {
        let mut cycle = Cycle::default();
        let due = (1..=12).filter(|_| {
            cycle.advance();
            cycle.reads_subnets()
        });
        assert_eq!(due.collect::<Vec<_>>(), [6, 12]);
    }
}
