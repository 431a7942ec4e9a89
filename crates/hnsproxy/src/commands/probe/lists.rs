//! Reads the objects of HNS by both APIs, and compares them.

use std::collections::{BTreeMap, BTreeSet};

use hcn::schema::v1::{HnsEndpoint, HnsNetwork, PolicyList};
use hcn::schema::{Endpoint, LoadBalancer, Network};
use hcn::{Class, Error, Guid, Hcn, Kind};
use hcn_survey::{ListFacts, answer};
use serde::Deserialize;
use serde_json::Value;

use super::members::Members;
use super::raw;
use super::stopwatch::Stopwatch;

/// The largest number of v2 documents of one kind that are read: each takes two calls.
const MAX_DOCUMENTS: usize = 500;

/// The objects of HNS at one time.
pub(super) struct Objects {
    pub networks: Vec<Network>,
    pub endpoints: Vec<Endpoint>,
    /// From v2 documents where they were read, since v1 documents lack flags.
    pub load_balancers: Vec<LoadBalancer>,
    /// How v1 documents spell ids; `None` without a letter in one.
    pub(super) v1_ids: Option<&'static str>,
    /// Empty without the HCN (v2) API.
    pub lists: Vec<ListFacts>,
}

/// # Errors
/// If a list cannot be read.
pub(super) fn read(
    hcn: &dyn Hcn,
    has_v2: bool,
    members: &mut Members,
    stopwatch: &Stopwatch,
) -> Result<Objects, Error> {
    let v1 = |kind| stopwatch.measure(raw::v1_call(kind), || raw::v1_list(hcn, kind));
    let networks = v1(Kind::Network)?;
    let endpoints = v1(Kind::Endpoint)?;
    let policy_lists = v1(Kind::LoadBalancer)?;
    for (kind, documents) in
        [(Kind::Network, &networks), (Kind::Endpoint, &endpoints), (Kind::LoadBalancer, &policy_lists)]
    {
        documents.iter().for_each(|document| members.add_v1(kind, document));
    }
    let mut load_balancers = balancers(&policy_lists);
    let mut lists = Vec::new();
    if has_v2 {
        let ids_of = |kind| stopwatch.measure("", || raw::v2_ids(hcn, kind));
        for id in ids_of(Kind::Network)?.into_iter().take(MAX_DOCUMENTS) {
            document(hcn, Kind::Network, id, members, stopwatch)?;
        }
        let first = ids(&endpoints);
        lists.push(compare(hcn, Kind::Endpoint, &first, members, stopwatch)?.0);
        let (facts, of_v2) = compare(hcn, Kind::LoadBalancer, &ids(&policy_lists), members, stopwatch)?;
        let read = |(id, document): (Guid, Value)| Some((id, LoadBalancer::deserialize(document).ok()?));
        load_balancers.extend(of_v2.into_iter().filter_map(read));
        lists.push(facts);
    }
    Ok(Objects {
        v1_ids: spelling([&networks, &endpoints, &policy_lists].into_iter().flatten()),
        networks: networks.iter().filter_map(|one| Some(HnsNetwork::deserialize(one).ok()?.into())).collect(),
        endpoints: endpoints.iter().filter_map(|one| Some(HnsEndpoint::deserialize(one).ok()?.into())).collect(),
        load_balancers: load_balancers.into_values().collect(),
        lists,
    })
}

/// The spelling of the ids of v1 documents.
fn spelling<'a>(documents: impl Iterator<Item = &'a Value>) -> Option<&'static str> {
    let letters = documents
        .filter_map(|document| document.get("ID")?.as_str())
        .flat_map(|id| id.chars().filter(char::is_ascii_alphabetic));
    let cases: BTreeSet<bool> = letters.map(|letter| letter.is_ascii_uppercase()).collect();
    match (cases.contains(&true), cases.contains(&false)) {
        (true, false) => Some(answer::UPPER_CASE),
        (false, true) => Some(answer::LOWER_CASE),
        (true, true) => Some(answer::BOTH_CASES),
        (false, false) => None,
    }
}

/// Compares the lists of a kind. On a node that works, objects change between two calls: only what is different both before and after the v2
/// list counts. Also returns v2 documents.
fn compare(
    hcn: &dyn Hcn,
    kind: Kind,
    before: &BTreeSet<Guid>,
    members: &mut Members,
    stopwatch: &Stopwatch,
) -> Result<(ListFacts, BTreeMap<Guid, Value>), Error> {
    let v2: BTreeSet<Guid> = stopwatch.measure("", || raw::v2_ids(hcn, kind))?.into_iter().collect();
    let mut documents = BTreeMap::new();
    for id in v2.iter().take(MAX_DOCUMENTS) {
        if let Some(document) = document(hcn, kind, *id, members, stopwatch)? {
            documents.insert(*id, document);
        }
    }
    let v1_documents = stopwatch.measure(raw::v1_call(kind), || raw::v1_list(hcn, kind))?;
    let after = ids(&v1_documents);
    let confirmed: BTreeSet<Guid> = raw::v2_ids(hcn, kind)?.into_iter().collect();
    let names = |ids: &mut dyn Iterator<Item = &Guid>| ids.map(Guid::to_string).collect::<Vec<_>>();
    // An object counts as listed if it was in one of the two lists.
    let in_v1: BTreeSet<Guid> = before.union(&after).copied().collect();
    let in_v2: BTreeSet<Guid> = v2.union(&confirmed).copied().collect();
    let v1_balancers = balancers(&v1_documents);
    let is_other = |(id, document): &(&Guid, &Value)| {
        let (Some(v1), Ok(v2)) = (v1_balancers.get(id), LoadBalancer::deserialize(*document)) else { return false };
        v1.endpoint_ids().collect::<BTreeSet<_>>() != v2.endpoint_ids().collect::<BTreeSet<_>>()
    };
    let mut other_backends = Vec::new();
    if kind == Kind::LoadBalancer {
        for (id, _) in documents.iter().filter(is_other) {
            // It may have been modified between the two reads.
            let again = raw::v2_document(hcn, kind, *id);
            if again.is_ok_and(|again| is_other(&(id, &again))) {
                other_backends.push(id.to_string());
            }
        }
    }
    let facts = ListFacts {
        kind: format!("{kind:?}"),
        v1: after.len(),
        v2: confirmed.len(),
        only_v1: names(&mut before.intersection(&after).filter(|id| !in_v2.contains(id))),
        only_v2: names(&mut v2.intersection(&confirmed).filter(|id| !in_v1.contains(id))),
        other_backends,
        compared: documents.len(),
    };
    Ok((facts, documents))
}

fn ids(documents: &[Value]) -> BTreeSet<Guid> {
    documents.iter().filter(|document| !raw::is_route(document)).filter_map(raw::id_of).collect()
}

/// The load balancers of a v1 list, by id.
fn balancers(policy_lists: &[Value]) -> BTreeMap<Guid, LoadBalancer> {
    let read = |document: &Value| {
        let list = PolicyList::deserialize(document).ok()?;
        let balancer = LoadBalancer::try_from(list).ok()?;
        Some((balancer.id?, balancer))
    };
    policy_lists.iter().filter_map(read).collect()
}

/// The v2 document of an object, noted in `members`. An object that was deleted after the list was read is left out, and so is one that HNS does
/// not return.
fn document(
    hcn: &dyn Hcn,
    kind: Kind,
    id: Guid,
    members: &mut Members,
    stopwatch: &Stopwatch,
) -> Result<Option<Value>, Error> {
    match stopwatch.measure("", || raw::v2_document(hcn, kind, id)) {
        Ok(document) => {
            members.add_v2(kind, &document);
            Ok(Some(document))
        }
        Err(error) if error.class() == Class::Absent => Ok(None),
        Err(error) if error.class() == Class::Unavailable => Err(error),
        Err(error) => {
            members.add_failure(kind, &error);
            Ok(None)
        }
    }
}
