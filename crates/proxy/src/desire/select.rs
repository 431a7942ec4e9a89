//! Which backends serve a Service's port: readiness, termination, locality and topology hints. Nothing here depends on HNS.
//!
//! The rules are those of `CategorizeEndpoints` in kube-proxy (`pkg/proxy/topology.go`), which the winkernel proxier
//! does not use: ready backends serve; if there are none, terminating backends that still serve (KEP-1669); hints count
//! for traffic that may go to any node, and only if all ready backends have them (KEP-2433).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{Family, ServicePort, Slice, SliceBackend};
use crate::settings::Node;

/// A backend that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    pub address: IpAddr,
    pub port: u16,
    /// Whether it runs on this node.
    pub local: bool,
    /// Whether it runs in this node's zone.
    pub near: bool,
}

/// The backends of one port, sorted by address and port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// For traffic that may go to any node: policy `Cluster`.
    pub cluster: Vec<Backend>,
    /// For traffic that stays on this node: policy `Local`.
    pub local: Vec<Backend>,
    /// Whether the port has a backend at all, on any node, serving or not.
    pub has_backends: bool,
}

/// Whether and why a backend serves under one traffic policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// Serves: ready, and its hints include this node.
    Ready,
    /// Serves: terminating and serving, and no backend is ready.
    TerminatingFallback,
    NotReady,
    /// Terminating, and others are ready.
    Terminating,
    /// Its hints name other zones.
    OtherZone,
    /// Its hints name other nodes.
    OtherNode,
    /// On another node, and the policy is `Local`.
    NotLocal,
    /// Another record of the same address and port counts.
    Yields(Precedence),
}

/// Why one of two records of an address and port counts: it is the first difference in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Precedence {
    /// Only that one is ready.
    Ready,
    /// Only the other one is terminating. A new pod has the address of one that ends.
    NotTerminating,
    /// Only that one serves.
    Serving,
    /// Only that one is on this node, where hnsproxy would see its endpoint.
    Local,
    /// They are equal in all of this. Their order in the slices has no effect.
    Tie,
}

impl Verdict {
    pub fn serves(self) -> bool {
        matches!(self, Verdict::Ready | Verdict::TerminatingFallback)
    }
}

/// A record of a backend of a port, with its verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged<'a> {
    pub backend: Backend,
    /// Its entry in the slice.
    pub record: &'a SliceBackend,
    /// Under policy `Cluster`.
    pub cluster: Verdict,
    /// Under policy `Local`.
    pub local: Verdict,
}

/// All records of the backends of a port, with their verdicts, sorted by address and port. The record that counts comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement<'a> {
    pub backends: Vec<Judged<'a>>,
    /// The hints that count for traffic that may go to any node.
    pub hints: Hints,
}

impl Judgement<'_> {
    fn serving(&self, verdict: impl Fn(&Judged<'_>) -> Verdict) -> Vec<Backend> {
        let serving = self.backends.iter().filter(|judged| verdict(judged).serves());
        serving.map(|judged| judged.backend).collect()
    }
}

/// The serving backends of a port.
pub fn select<'a>(
    port: &ServicePort,
    family: Family,
    slices: impl IntoIterator<Item = &'a Slice>,
    node: &Node,
) -> Selection {
    let judgement = judge(port, family, slices, node);
    Selection {
        cluster: judgement.serving(|judged| judged.cluster),
        local: judgement.serving(|judged| judged.local),
        has_backends: !judgement.backends.is_empty(),
    }
}

/// All backends of a port with their verdicts. [`select`] keeps those that serve.
pub fn judge<'a>(
    port: &ServicePort,
    family: Family,
    slices: impl IntoIterator<Item = &'a Slice>,
    node: &Node,
) -> Judgement<'a> {
    let candidates = candidates(port, family, slices, node);
    let counting =
        || candidates.iter().filter(|candidate| candidate.yields.is_none()).map(|candidate| candidate.record);
    let hints = Hints::of(counting(), node);
    // Readiness comes before hints. Hints count only if a ready backend has one for this node or zone, so they never
    // leave a port that has ready backends without any.
    let any_ready = counting().any(|record| record.ready);
    let any_ready_here = counting().any(|record| record.ready && is_local(record, node));
    let backends = candidates.iter().map(|Candidate { port, record, yields }| {
        let local = is_local(record, node);
        let near = node.zone.is_some() && record.zone == node.zone;
        let (cluster, local_verdict) = match yields {
            Some(precedence) => (Verdict::Yields(*precedence), Verdict::Yields(*precedence)),
            None => (
                verdict(record, any_ready, hints.verdict(record, node)),
                if local { verdict(record, any_ready_here, Verdict::Ready) } else { Verdict::NotLocal },
            ),
        };
        Judged {
            backend: Backend { address: record.address, port: *port, local, near },
            record,
            cluster,
            local: local_verdict,
        }
    });
    Judgement { backends: backends.collect(), hints }
}

/// The verdict on a backend; `ready` is the verdict on a ready one.
fn verdict(record: &SliceBackend, any_ready: bool, ready: Verdict) -> Verdict {
    match (record.ready, record.serving && record.terminating) {
        // Even if it does not serve: `publishNotReadyAddresses` marks backends as ready early.
        (true, _) => ready,
        (false, false) => Verdict::NotReady,
        // KEP-1669: terminating backends serve only while no backend is ready.
        (false, true) if any_ready => Verdict::Terminating,
        (false, true) => Verdict::TerminatingFallback,
    }
}

fn is_local(backend: &SliceBackend, node: &Node) -> bool {
    // A backend without a node name counts as one on another node, as in kube-proxy.
    !node.name.is_empty() && backend.node.as_ref() == Some(&node.name)
}

/// A record of a port.
struct Candidate<'a> {
    port: u16,
    record: &'a SliceBackend,
    /// Why another record of its address and port counts, and not this one.
    yields: Option<Precedence>,
}

/// All records of a port, sorted by address and port; of those with the same, the one that counts comes first. There are several while a
/// backend moves from one slice to another, or while a new pod has the address of one that ends.
fn candidates<'a>(
    port: &ServicePort,
    family: Family,
    slices: impl IntoIterator<Item = &'a Slice>,
    node: &Node,
) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for slice in slices.into_iter().filter(|slice| slice.family == family) {
        // Not by number: `targetPort` may be a name, which stands for different numbers in different pods.
        let ports = slice.ports.iter().filter(|p| p.name == port.name && p.protocol == port.protocol);
        for slice_port in ports {
            let of_port = |record| Candidate { port: slice_port.port, record, yields: None };
            candidates.extend(slice.backends.iter().map(of_port));
        }
    }
    candidates.sort_unstable_by(|a, b| {
        let by_rank = || rank(b.record, node).cmp(&rank(a.record, node)).then_with(|| a.record.cmp(b.record));
        (a.record.address, a.port).cmp(&(b.record.address, b.port)).then_with(by_rank)
    });
    // The controller may repeat a record in another slice.
    candidates.dedup_by(|a, b| a.port == b.port && a.record == b.record);
    let mut first: Option<(u16, &SliceBackend)> = None;
    for Candidate { port, record, yields } in &mut candidates {
        match first {
            Some((first_port, first)) if first_port == *port && first.address == record.address => {
                *yields = Some(precedence(first, record, node));
            }
            _ => first = Some((*port, *record)),
        }
    }
    candidates
}

/// The rank of a record among those of one address and port; the greatest counts.
fn rank(record: &SliceBackend, node: &Node) -> [bool; 4] {
    [record.ready, !record.terminating, record.serving, is_local(record, node)]
}

/// Why `first` counts, and not `other`.
fn precedence(first: &SliceBackend, other: &SliceBackend, node: &Node) -> Precedence {
    let reasons = [Precedence::Ready, Precedence::NotTerminating, Precedence::Serving, Precedence::Local];
    let ranks = rank(first, node).into_iter().zip(rank(other, node));
    let differs = reasons.into_iter().zip(ranks).find(|(_, (first, other))| first != other);
    differs.map_or(Precedence::Tie, |(reason, _)| reason)
}

/// The topology hints that count for a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Hints {
    /// Any backend serves.
    None,
    /// Backends with a hint for this node serve.
    Node,
    /// Backends with a hint for this node's zone serve.
    Zone,
}

impl Hints {
    /// Hints count if every ready backend has one, and one of them is for this node or this zone. A backend without a hint means that
    /// the controller has not finished; using only the others would overload them. Node hints come before zone hints.
    fn of<'a>(backends: impl Iterator<Item = &'a SliceBackend>, node: &Node) -> Self {
        let (mut any, mut all_node, mut this_node, mut all_zone, mut this_zone) = (false, true, false, true, false);
        // Backends that are not ready do not serve in any case, so a missing hint on one of them means nothing.
        for backend in backends.filter(|backend| backend.ready) {
            any = true;
            all_node &= !backend.for_nodes.is_empty();
            this_node |= backend.for_nodes.contains(&node.name);
            all_zone &= !backend.for_zones.is_empty();
            this_zone |= node.zone.as_ref().is_some_and(|zone| !zone.is_empty() && backend.for_zones.contains(zone));
        }
        match () {
            // Without the last condition, a node or zone for which no backend is meant would have none at all.
            () if any && all_node && this_node => Hints::Node,
            () if any && all_zone && this_zone => Hints::Zone,
            () => Hints::None,
        }
    }

    /// The verdict on a ready backend.
    fn verdict(self, record: &SliceBackend, node: &Node) -> Verdict {
        match self {
            Hints::Node if !record.for_nodes.contains(&node.name) => Verdict::OtherNode,
            Hints::Zone if !node.zone.as_ref().is_some_and(|zone| record.for_zones.contains(zone)) => {
                Verdict::OtherZone
            }
            _ => Verdict::Ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;
    use crate::testing::{BackendBuilder, backend, slice};

    fn node() -> Node {
        Node { name: "here".into(), zone: Some("a".into()) }
    }

    fn port() -> ServicePort {
        ServicePort { name: "".into(), protocol: Protocol::TCP, port: 80, node_port: None }
    }

    fn chosen(backends: Vec<BackendBuilder>) -> (Vec<String>, Vec<String>) {
        let slice = backends.into_iter().fold(slice("n/s", "n/svc").port(8080), |s, b| s.backend(b)).build();
        let selection = select(&port(), Family::V4, [&slice], &node());
        let text = |backends: &[Backend]| backends.iter().map(|b| b.address.to_string()).collect();
        (text(&selection.cluster), text(&selection.local))
    }

    fn zoned(address: &str, zone: &str) -> BackendBuilder {
        let zone = zone.to_owned();
        backend(address).with(move |b| b.for_zones = vec![zone.into()])
    }

    #[test]
    fn ready_backends_serve_and_unready_ones_do_not() {
        let (cluster, local) = chosen(vec![
            backend("10.0.0.1"),
            backend("10.0.0.2").unready().on("here"),
            backend("10.0.0.3").terminating(),
        ]);
        assert_eq!((cluster, local), (vec!["10.0.0.1".into()], vec![]));
    }

    #[test]
    fn terminating_backends_are_the_fallback_for_each_policy_separately() {
        let (cluster, local) = chosen(vec![backend("10.0.0.1"), backend("10.0.0.2").terminating().on("here")]);
        assert_eq!((cluster, local), (vec!["10.0.0.1".into()], vec!["10.0.0.2".into()]));
    }

    #[test]
    fn a_backend_published_before_it_is_ready_serves() {
        let early = backend("10.0.0.1").with(|b| (b.ready, b.serving) = (true, false));
        assert_eq!(chosen(vec![early]).0.len(), 1);
    }

    #[test]
    fn zone_hints_count_only_if_every_ready_backend_has_one() {
        assert_eq!(chosen(vec![zoned("10.0.0.1", "a"), zoned("10.0.0.2", "b")]).0, ["10.0.0.1"]);
        assert_eq!(chosen(vec![zoned("10.0.0.1", "a"), backend("10.0.0.2")]).0.len(), 2);
        assert_eq!(chosen(vec![zoned("10.0.0.1", "b"), zoned("10.0.0.2", "c")]).0.len(), 2);
        assert_eq!(chosen(vec![zoned("10.0.0.1", "a").unready(), zoned("10.0.0.2", "b")]).0, ["10.0.0.2"]);
    }

    #[test]
    fn node_hints_come_before_zone_hints() {
        let hinted =
            |address: &str, node: &'static str| zoned(address, "a").with(move |b| b.for_nodes = vec![node.into()]);
        assert_eq!(chosen(vec![hinted("10.0.0.1", "here"), hinted("10.0.0.2", "there")]).0, ["10.0.0.1"]);
        assert_eq!(chosen(vec![hinted("10.0.0.1", "over"), hinted("10.0.0.2", "there")]).0.len(), 2);
    }

    #[test]
    fn the_record_that_counts_does_not_depend_on_the_order() {
        let record = || backend("10.0.0.1");
        // The first of each pair counts.
        let pairs = [
            (record(), record().terminating().on("here"), Precedence::Ready),
            (record(), record().unready().on("here"), Precedence::Ready),
            (record().unready(), record().terminating().on("here"), Precedence::NotTerminating),
            (
                record().terminating(),
                record().terminating().with(|b| b.serving = false).on("here"),
                Precedence::Serving,
            ),
            (record().on("here"), record().on("there"), Precedence::Local),
            (record().on("over"), record().on("there"), Precedence::Tie),
        ];
        for (counts, yields, precedence) in pairs {
            let first = slice("n/s1", "n/svc").port(8080).backend(counts).build();
            let second = slice("n/s2", "n/svc").port(8080).backend(yields).build();
            for slices in [[&first, &second], [&second, &first]] {
                let judged = judge(&port(), Family::V4, slices, &node()).backends;
                assert_eq!(
                    judged.iter().map(|judged| judged.record).collect::<Vec<_>>(),
                    [&first.backends[0], &second.backends[0]]
                );
                assert_eq!((judged[1].cluster, judged[1].local), [Verdict::Yields(precedence); 2].into());
            }
        }
    }

    #[test]
    fn ports_match_by_name_and_protocol() {
        let slice = slice("n/s", "n/svc").named_port("", Protocol::UDP, 53).backend(backend("10.0.0.1")).build();
        assert_eq!(select(&port(), Family::V4, [&slice], &node()), Selection::default());
    }
}
