//! When enough is known of the own Node to begin, as kube-proxy has it: the Node is awaited, its addresses for a while, and its pod
//! CIDRs where they are needed.

use std::time::Duration;

use crate::kubernetes::node::Node;

/// How long addresses are awaited.
const ADDRESSES: Duration = Duration::from_secs(30);
/// How long pod CIDRs are awaited after that.
const POD_CIDRS: Duration = Duration::from_secs(300);

/// What is needed of the Node before anything is programmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Addresses: nothing else says them. They are not waited for for ever.
    pub addresses: bool,
    /// Pod CIDRs, since `detectLocalMode` is `NodeCIDR`. It does not go without.
    pub pod_cidrs: bool,
}

/// Why it does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// There is no Node.
    #[error(
        "there is no Node {name}, whose podCIDRs are needed with detectLocalMode NodeCIDR; is the kubelet's name for it another?"
    )]
    Missing {
        /// The name.
        name: String,
    },
    /// It has no pod CIDRs.
    #[error("the Node {name} has no podCIDRs, which are needed with detectLocalMode NodeCIDR")]
    NoPodCidrs {
        /// The name.
        name: String,
    },
    /// They are others than at first.
    #[error("the podCIDRs of the Node {name} are no longer {before} but {now}: a new start is needed")]
    PodCidrsChanged {
        /// The name.
        name: String,
        /// Those at the start.
        before: String,
        /// Those of now.
        now: String,
    },
}

/// How it stands with the Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is waited for something, until this time where there is a bound.
    Waits(&'static str, Option<Duration>),
    /// It can begin, or go on.
    Settled,
}

/// The own Node, as it is awaited and then followed. Time is an argument: the duration since any fixed moment.
#[derive(Debug)]
pub struct OwnNode {
    name: String,
    needs: Needs,
    /// When it was first answered, be it that there is none.
    answered: Option<Duration>,
    node: Option<Node>,
    /// The pod CIDRs when it began.
    settled: Option<Vec<String>>,
}

impl OwnNode {
    /// A Node of which nothing is known.
    pub fn new(name: &str, needs: Needs) -> Self {
        Self { name: name.to_owned(), needs, answered: None, node: None, settled: None }
    }

    /// The name of the Node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Node as it was last seen. One that is deleted is as it was.
    pub fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Notes what the API server says.
    pub fn see(&mut self, node: Option<Node>, now: Duration) {
        self.answered.get_or_insert(now);
        self.node = node.or_else(|| self.node.take());
    }

    /// How it stands now.
    ///
    /// # Errors
    /// Where it does not go on.
    pub fn stands(&mut self, now: Duration) -> Result<Standing, NodeError> {
        let pod_cidrs = self.node.as_ref().map_or(&[][..], |node| &node.pod_cidrs);
        if let Some(before) = &self.settled {
            if self.needs.pod_cidrs && before != pod_cidrs {
                let (before, now) = (before.join(","), pod_cidrs.join(","));
                return Err(NodeError::PodCidrsChanged { name: self.name.clone(), before, now });
            }
            return Ok(Standing::Settled);
        }
        let Some(answered) = self.answered else { return Ok(Standing::Waits("the Node", None)) };
        let has_addresses = self.node.as_ref().is_some_and(|node| !node.ips.is_empty());
        let patience = answered + ADDRESSES;
        if self.needs.addresses && !has_addresses && now < patience {
            return Ok(Standing::Waits("addresses of the Node", Some(patience)));
        }
        if self.needs.pod_cidrs && pod_cidrs.is_empty() {
            let patience = patience + POD_CIDRS;
            return match &self.node {
                _ if now < patience => Ok(Standing::Waits("podCIDRs of the Node", Some(patience))),
                None => Err(NodeError::Missing { name: self.name.clone() }),
                Some(_) => Err(NodeError::NoPodCidrs { name: self.name.clone() }),
            };
        }
        self.settled = Some(pod_cidrs.to_vec());
        Ok(Standing::Settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Needs = Needs { addresses: true, pod_cidrs: false };
    const NEEDS_CIDRS: Needs = Needs { addresses: true, pod_cidrs: true };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn node(ips: &[&str], pod_cidrs: &[&str]) -> Option<Node> {
        let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        let pod_cidrs = pod_cidrs.iter().map(ToString::to_string).collect();
        Some(Node { name: "n".into(), zone: None, ips, pod_cidrs, eligible: true })
    }

    fn waits(standing: &Result<Standing, NodeError>) -> Option<u64> {
        match standing {
            Ok(Standing::Waits(_, until)) => Some(until.map_or(u64::MAX, |until| until.as_secs())),
            _ => None,
        }
    }

    #[test]
    fn a_node_that_never_appears_is_awaited_for_half_a_minute_after_the_first_answer() {
        let mut own = OwnNode::new("n", NEEDS);
        assert_eq!(waits(&own.stands(seconds(1000))), Some(u64::MAX));
        own.see(None, seconds(1000));
        assert_eq!(waits(&own.stands(seconds(1029))), Some(1030));
        assert_eq!(own.stands(seconds(1030)), Ok(Standing::Settled));
    }

    #[test]
    fn addresses_that_appear_end_the_waiting() {
        let mut own = OwnNode::new("n", NEEDS);
        own.see(node(&[], &[]), seconds(1));
        assert_eq!(waits(&own.stands(seconds(2))), Some(31));
        own.see(node(&["10.0.0.1"], &[]), seconds(3));
        assert_eq!(own.stands(seconds(3)), Ok(Standing::Settled));
        let mut known = OwnNode::new("n", Needs { addresses: false, pod_cidrs: false });
        known.see(None, seconds(1));
        assert_eq!(known.stands(seconds(1)), Ok(Standing::Settled), "the addresses are known otherwise");
    }

    #[test]
    fn pod_cidrs_are_awaited_for_five_minutes_more_where_they_are_needed() {
        let mut own = OwnNode::new("n", NEEDS_CIDRS);
        own.see(None, seconds(0));
        assert_eq!(waits(&own.stands(seconds(30))), Some(330));
        assert_eq!(own.stands(seconds(330)), Err(NodeError::Missing { name: "n".into() }));
        own.see(node(&[], &[]), seconds(100));
        assert_eq!(own.stands(seconds(330)), Err(NodeError::NoPodCidrs { name: "n".into() }));
        own.see(node(&[], &["10.244.1.0/24"]), seconds(100));
        assert_eq!(own.stands(seconds(100)), Ok(Standing::Settled), "it goes without addresses");
    }

    #[test]
    fn of_later_changes_only_those_of_needed_pod_cidrs_end_it() {
        let mut own = OwnNode::new("n", NEEDS_CIDRS);
        own.see(node(&["10.0.0.1"], &["10.244.1.0/24"]), seconds(0));
        assert_eq!(own.stands(seconds(0)), Ok(Standing::Settled));
        own.see(node(&["10.0.0.2"], &["10.244.1.0/24"]), seconds(1));
        own.see(None, seconds(2));
        assert_eq!(own.stands(seconds(2)), Ok(Standing::Settled));
        assert_eq!(own.node().unwrap().ips[0].to_string(), "10.0.0.2");
        own.see(node(&["10.0.0.2"], &["10.244.2.0/24"]), seconds(3));
        let error = own.stands(seconds(3)).unwrap_err().to_string();
        assert_eq!(
            error,
            "the podCIDRs of the Node n are no longer 10.244.1.0/24 but 10.244.2.0/24: a new start is needed"
        );
    }
}
