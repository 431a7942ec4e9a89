//! Decides when enough is known of this node's Node to program HNS. As kube-proxy, hnsproxy waits for the Node, then for its addresses, and
//! for its pod CIDRs if `detectLocalMode` is `NodeCIDR`.

use std::time::Duration;

use cluster_source::kubernetes::node::Node;

/// How long hnsproxy waits for addresses, as kube-proxy does.
const ADDRESSES_TIMEOUT: Duration = Duration::from_secs(30);
/// How long hnsproxy waits for pod CIDRs after that, as kube-proxy does.
const POD_CIDRS_TIMEOUT: Duration = Duration::from_secs(300);

/// What must be known of the Node before anything is programmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    /// An answer of the API server, even that there is no such Node. Files answer at once.
    pub(super) answer: bool,
    /// Its addresses, if neither `--node-ip` nor the emulated host has them. The wait ends after [`ADDRESSES_TIMEOUT`].
    pub(super) addresses: bool,
    /// Its pod CIDRs, since `detectLocalMode` is `NodeCIDR`. Without them hnsproxy exits after [`POD_CIDRS_TIMEOUT`].
    pub(super) pod_cidrs: bool,
}

impl Needs {
    pub(super) const NOTHING: Self = Self { answer: false, addresses: false, pod_cidrs: false };
}

/// Why hnsproxy exits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    #[error(
        "Node {name} not found, and detectLocalMode NodeCIDR needs its podCIDRs; set --hostname-override if the kubelet uses another name"
    )]
    NotFound { name: String },
    #[error("Node {name} has no podCIDRs, and detectLocalMode NodeCIDR needs them")]
    NoPodCidrs { name: String },
    #[error("podCIDRs of Node {name} changed from {before} to {now}: restart hnsproxy")]
    PodCidrsChanged { name: String, before: String, now: String },
}

/// Whether HNS can be programmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// For this part of the Node, until this time at most if there is one.
    Waiting(&'static str, Option<Duration>),
    Ready,
}

/// This node's Node as it was last seen. Time is an argument: the duration since any fixed moment.
#[derive(Debug)]
pub(super) struct LocalNode {
    name: String,
    needs: Needs,
    /// When the source first answered, even that there is no such Node.
    answered: Option<Duration>,
    node: Option<Node>,
    /// Whether the source no longer has the Node.
    is_deleted: bool,
    /// The pod CIDRs when HNS could first be programmed.
    initial_pod_cidrs: Option<Vec<String>>,
}

impl LocalNode {
    pub(super) fn new(name: &str, needs: Needs) -> Self {
        Self { name: name.to_owned(), needs, answered: None, node: None, is_deleted: false, initial_pod_cidrs: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The Node as it was last seen, even if it was deleted since: the kubelet creates it again.
    pub(super) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Whether the Node existed, and the source no longer has it.
    pub(super) fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// Takes the Node from the source. Returns whether its addresses have changed.
    pub(super) fn update(&mut self, node: Option<Node>, now: Duration) -> bool {
        self.answered.get_or_insert(now);
        self.is_deleted = node.is_none() && self.node.is_some();
        let Some(node) = node else { return false };
        let before = self.node.replace(node);
        before.map(|node| node.ips) != self.node.as_ref().map(|node| node.ips.clone())
    }

    /// Whether HNS can be programmed now.
    ///
    /// # Errors
    /// If pod CIDRs are needed, and did not appear in time, or changed later.
    pub(super) fn readiness(&mut self, now: Duration) -> Result<Readiness, NodeError> {
        let pod_cidrs = self.node.as_ref().map_or(&[][..], |node| &node.pod_cidrs);
        if let Some(before) = &self.initial_pod_cidrs {
            // As kube-proxy, which exits because its rules depend on them.
            if self.needs.pod_cidrs && before != pod_cidrs {
                let (before, now) = (before.join(","), pod_cidrs.join(","));
                return Err(NodeError::PodCidrsChanged { name: self.name.clone(), before, now });
            }
            return Ok(Readiness::Ready);
        }
        let answered = match self.answered {
            Some(answered) => answered,
            // The zone decides which backends serve: programmed without it, they would be replaced a moment later.
            None if self.needs.answer => return Ok(Readiness::Waiting("the Node", None)),
            None => now,
        };
        let has_addresses = self.node.as_ref().is_some_and(|node| !node.ips.is_empty());
        let deadline = answered + ADDRESSES_TIMEOUT;
        if self.needs.addresses && !has_addresses && now < deadline {
            return Ok(Readiness::Waiting("addresses of the Node", Some(deadline)));
        }
        if self.needs.pod_cidrs && pod_cidrs.is_empty() {
            let deadline = deadline + POD_CIDRS_TIMEOUT;
            return match &self.node {
                _ if now < deadline => Ok(Readiness::Waiting("podCIDRs of the Node", Some(deadline))),
                None => Err(NodeError::NotFound { name: self.name.clone() }),
                Some(_) => Err(NodeError::NoPodCidrs { name: self.name.clone() }),
            };
        }
        self.initial_pod_cidrs = Some(pod_cidrs.to_vec());
        Ok(Readiness::Ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Needs = Needs { answer: true, addresses: true, pod_cidrs: false };
    const NEEDS_CIDRS: Needs = Needs { answer: true, addresses: true, pod_cidrs: true };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn node(ips: &[&str], pod_cidrs: &[&str]) -> Option<Node> {
        let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        let pod_cidrs = pod_cidrs.iter().map(ToString::to_string).collect();
        Some(Node { name: "n".into(), zone: None, ips, pod_cidrs, eligible: true })
    }

    fn waits(readiness: &Result<Readiness, NodeError>) -> Option<u64> {
        match readiness {
            Ok(Readiness::Waiting(_, until)) => Some(until.map_or(u64::MAX, |until| until.as_secs())),
            _ => None,
        }
    }

    #[test]
    fn a_missing_node_is_waited_for_30_s_after_the_first_answer() {
        let mut own = LocalNode::new("n", NEEDS);
        assert_eq!(waits(&own.readiness(seconds(1000))), Some(u64::MAX));
        own.update(None, seconds(1000));
        assert_eq!(waits(&own.readiness(seconds(1029))), Some(1030));
        assert_eq!(own.readiness(seconds(1030)), Ok(Readiness::Ready));
    }

    #[test]
    fn addresses_that_appear_end_the_wait() {
        let mut own = LocalNode::new("n", NEEDS);
        own.update(node(&[], &[]), seconds(1));
        assert_eq!(waits(&own.readiness(seconds(2))), Some(31));
        own.update(node(&["10.0.0.1"], &[]), seconds(3));
        assert_eq!(own.readiness(seconds(3)), Ok(Readiness::Ready));
        let mut known = LocalNode::new("n", Needs { answer: true, addresses: false, pod_cidrs: false });
        known.update(None, seconds(1));
        assert_eq!(known.readiness(seconds(1)), Ok(Readiness::Ready), "the addresses are configured");
    }

    #[test]
    fn required_pod_cidrs_are_waited_for_another_5_minutes() {
        let mut own = LocalNode::new("n", NEEDS_CIDRS);
        own.update(None, seconds(0));
        assert_eq!(waits(&own.readiness(seconds(30))), Some(330));
        assert_eq!(own.readiness(seconds(330)), Err(NodeError::NotFound { name: "n".into() }));
        own.update(node(&[], &[]), seconds(100));
        assert_eq!(own.readiness(seconds(330)), Err(NodeError::NoPodCidrs { name: "n".into() }));
        own.update(node(&[], &["10.244.1.0/24"]), seconds(100));
        assert_eq!(own.readiness(seconds(100)), Ok(Readiness::Ready), "addresses are optional after their timeout");
    }

    #[test]
    fn a_later_change_of_required_pod_cidrs_is_an_error() {
        let mut own = LocalNode::new("n", NEEDS_CIDRS);
        own.update(node(&["10.0.0.1"], &["10.244.1.0/24"]), seconds(0));
        assert_eq!(own.readiness(seconds(0)), Ok(Readiness::Ready));
        own.update(node(&["10.0.0.2"], &["10.244.1.0/24"]), seconds(1));
        own.update(None, seconds(2));
        assert_eq!(own.readiness(seconds(2)), Ok(Readiness::Ready));
        assert_eq!(own.node().unwrap().ips[0].to_string(), "10.0.0.2");
        own.update(node(&["10.0.0.2"], &["10.244.2.0/24"]), seconds(3));
        let error = own.readiness(seconds(3)).unwrap_err().to_string();
        assert_eq!(error, "podCIDRs of Node n changed from 10.244.1.0/24 to 10.244.2.0/24: restart hnsproxy");
    }

    #[test]
    fn nothing_is_waited_for_if_nothing_is_required() {
        assert_eq!(LocalNode::new("n", Needs::NOTHING).readiness(seconds(0)), Ok(Readiness::Ready));
    }

    #[test]
    fn a_change_of_addresses_is_reported_and_a_deleted_node_keeps_them() {
        let mut own = LocalNode::new("n", NEEDS);
        own.update(None, seconds(0));
        assert!(!own.is_deleted(), "there was none");
        let changed =
            [node(&[], &[]), node(&["10.0.0.1"], &[]), node(&["10.0.0.1"], &["a"]), None, node(&["10.0.0.1"], &[])]
                .map(|node| own.update(node, seconds(0)));
        assert_eq!(changed, [true, true, false, false, false]);
        own.update(None, seconds(0));
        assert!(own.is_deleted());
        own.update(node(&["10.0.0.1"], &[]), seconds(0));
        assert!(!own.is_deleted());
    }
}
