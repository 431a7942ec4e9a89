//! A reference implementation of the specification for the backends of a Service port: slow, and independent of the code under test.

use std::collections::{BTreeMap, BTreeSet};

/// An endpoint of a slice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) id: u8,
    pub(crate) ready: bool,
    pub(crate) serving: bool,
    pub(crate) terminating: bool,
    pub(crate) local: bool,
    pub(crate) zones: Vec<&'static str>,
    pub(crate) nodes: Vec<&'static str>,
}

/// Everything else that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    pub(crate) internal_local: bool,
    pub(crate) external_local: bool,
    pub(crate) preserve_destination: bool,
    pub(crate) zone: Option<&'static str>,
}

/// What each kind of frontend is served by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) cluster_ip: BTreeSet<u8>,
    pub(crate) node_port: BTreeSet<u8>,
    pub(crate) external_ip: BTreeSet<u8>,
    pub(crate) ingress_ip: BTreeSet<u8>,
    /// Whether the health check has a load balancer.
    pub(crate) health: bool,
}

const THIS_NODE: &str = "here";

#[derive(PartialEq)]
enum Mode {
    None,
    PreferSameNode,
    PreferSameZone,
}

/// The mode: the four steps, in order. Only ready endpoints count.
fn mode(endpoints: &[Endpoint], zone: Option<&str>) -> Mode {
    let mut ready = Vec::new();
    for endpoint in endpoints {
        if endpoint.ready {
            ready.push(endpoint);
        }
    }
    // 1. No ready endpoint: none.
    if ready.is_empty() {
        return Mode::None;
    }
    // 2. Every ready endpoint has a node hint, and some endpoint is hinted for this node.
    let mut without_node_hint = 0;
    let mut for_this_node = 0;
    for endpoint in &ready {
        if endpoint.nodes.is_empty() {
            without_node_hint += 1;
        }
        if endpoint.nodes.contains(&THIS_NODE) {
            for_this_node += 1;
        }
    }
    if without_node_hint == 0 && for_this_node > 0 {
        return Mode::PreferSameNode;
    }
    // 3. Every ready endpoint has a zone hint, and some endpoint is hinted for this node's zone.
    let Some(zone) = zone else { return Mode::None };
    let mut without_zone_hint = 0;
    let mut for_this_zone = 0;
    for endpoint in &ready {
        if endpoint.zones.is_empty() {
            without_zone_hint += 1;
        }
        if endpoint.zones.contains(&zone) {
            for_this_zone += 1;
        }
    }
    if without_zone_hint == 0 && for_this_zone > 0 {
        return Mode::PreferSameZone;
    }
    // 4. Otherwise none.
    Mode::None
}

fn serving_and_terminating(endpoints: &[Endpoint]) -> BTreeSet<u8> {
    let mut list = BTreeSet::new();
    for endpoint in endpoints {
        if endpoint.serving && endpoint.terminating {
            list.insert(endpoint.id);
        }
    }
    list
}

/// Ready endpoints that pass the mode; if there are none, all that serve and terminate, whatever their hints.
fn cluster_list(endpoints: &[Endpoint], zone: Option<&str>) -> BTreeSet<u8> {
    let mode = mode(endpoints, zone);
    let mut list = BTreeSet::new();
    for endpoint in endpoints {
        let passes = match mode {
            Mode::None => true,
            Mode::PreferSameNode => endpoint.nodes.contains(&THIS_NODE),
            Mode::PreferSameZone => endpoint.zones.contains(&zone.unwrap()),
        };
        if endpoint.ready && passes {
            list.insert(endpoint.id);
        }
    }
    if list.is_empty() { serving_and_terminating(endpoints) } else { list }
}

/// Ready local ones; if there are none, local ones that serve and terminate. Hints never count.
fn local_list(endpoints: &[Endpoint]) -> BTreeSet<u8> {
    let mut here = Vec::new();
    for endpoint in endpoints {
        if endpoint.local {
            here.push(endpoint.clone());
        }
    }
    let mut list = BTreeSet::new();
    for endpoint in &here {
        if endpoint.ready {
            list.insert(endpoint.id);
        }
    }
    if list.is_empty() { serving_and_terminating(&here) } else { list }
}

/// Of several endpoints with one address, the one that counts: a ready one; else one that does not end; else one that serves; else a local
/// one.
fn one_of_each_address(endpoints: &[Endpoint]) -> Vec<Endpoint> {
    let mut of_address: BTreeMap<u8, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in endpoints {
        of_address.entry(endpoint.id).or_default().push(endpoint);
    }
    let mut kept = Vec::new();
    for mut same in of_address.into_values() {
        let rules: [fn(&Endpoint) -> bool; 4] = [|e| e.ready, |e| !e.terminating, |e| e.serving, |e| e.local];
        for rule in rules {
            if same.iter().any(|endpoint| rule(endpoint)) {
                same.retain(|endpoint| rule(endpoint));
            }
        }
        same.sort_by_key(|endpoint| (&endpoint.zones, &endpoint.nodes));
        kept.push(same[0].clone());
    }
    kept
}

pub(crate) fn answer(endpoints: &[Endpoint], question: Question) -> Answer {
    let endpoints = &one_of_each_address(endpoints);
    let list = |local: bool| if local { local_list(endpoints) } else { cluster_list(endpoints, question.zone) };
    Answer {
        cluster_ip: list(question.internal_local),
        // Section 2.3 of the Windows proxy: the annotation counts for node ports and addresses of load balancers.
        node_port: list(question.external_local || question.preserve_destination),
        external_ip: list(question.external_local),
        ingress_ip: list(question.external_local || question.preserve_destination),
        // Section 2.5: it stays while there is an endpoint, even if none is available.
        health: !endpoints.is_empty(),
    }
}
