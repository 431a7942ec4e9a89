//! Reads the objects of HNS by both APIs, and compares them.

use std::collections::{BTreeMap, BTreeSet};

use hcn::schema::v1::{HnsEndpoint, HnsNetwork, PolicyList};
use hcn::schema::{Endpoint, LoadBalancer, Network};
use hcn::{Class, Error, Guid, Hcn, Kind};
use serde::Deserialize;
use serde_json::Value;

use super::members::Members;
use super::raw;
use super::survey::ListFacts;

/// The largest number of v2 documents of one kind that are read: each takes two calls.
const MAX_DOCUMENTS: usize = 500;

/// The objects of HNS at one time.
pub(super) struct Objects {
    pub networks: Vec<Network>,
    pub endpoints: Vec<Endpoint>,
    /// From v2 documents where HNS has them, since v1 documents lack flags.
    pub load_balancers: Vec<LoadBalancer>,
    /// Empty without the HCN (v2) API.
    pub lists: Vec<ListFacts>,
}

/// # Errors
/// If a list cannot be read.
pub(super) fn read(hcn: &dyn Hcn, has_v2: bool, members: &mut Members) -> Result<Objects, Error> {
    let networks = v1_documents(hcn, Kind::Network, members)?;
    let endpoints = v1_documents(hcn, Kind::Endpoint, members)?;
    let policy_lists = v1_documents(hcn, Kind::LoadBalancer, members)?;
    let of_v1 = balancers(&policy_lists);
    let mut load_balancers: Vec<_> = of_v1.values().cloned().collect();
    let mut lists = Vec::new();
    if has_v2 {
        for id in raw::v2_ids(hcn, Kind::Network)?.into_iter().take(MAX_DOCUMENTS) {
            if let Some(document) = present(raw::v2_document(hcn, Kind::Network, id))? {
                members.add_v2(Kind::Network, &document);
            }
        }
        let first = ids(&endpoints);
        lists.push(compare(hcn, Kind::Endpoint, &first, members)?.0);
        let (facts, of_v2) = compare(hcn, Kind::LoadBalancer, &ids(&policy_lists), members)?;
        load_balancers = of_v2.iter().filter_map(|document| LoadBalancer::deserialize(document).ok()).collect();
        lists.push(facts);
    }
    Ok(Objects {
        networks: networks.iter().filter_map(|one| Some(HnsNetwork::deserialize(one).ok()?.into())).collect(),
        endpoints: endpoints.iter().filter_map(|one| Some(HnsEndpoint::deserialize(one).ok()?.into())).collect(),
        load_balancers,
        lists,
    })
}

fn v1_documents(hcn: &dyn Hcn, kind: Kind, members: &mut Members) -> Result<Vec<Value>, Error> {
    let documents = raw::v1_list(hcn, kind)?;
    documents.iter().for_each(|document| members.add_v1(kind, document));
    Ok(documents)
}

/// Compares the lists of a kind. On a node that works, objects change between two calls: only what is different both before and after the v2
/// list counts. Also returns v2 documents.
fn compare(
    hcn: &dyn Hcn,
    kind: Kind,
    before: &BTreeSet<Guid>,
    members: &mut Members,
) -> Result<(ListFacts, Vec<Value>), Error> {
    let v2: BTreeSet<Guid> = raw::v2_ids(hcn, kind)?.into_iter().collect();
    let mut documents = BTreeMap::new();
    for id in v2.iter().take(MAX_DOCUMENTS) {
        if let Some(document) = present(raw::v2_document(hcn, kind, *id))? {
            members.add_v2(kind, &document);
            documents.insert(*id, document);
        }
    }
    let v1_documents = raw::v1_list(hcn, kind)?;
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
            let again = present(raw::v2_document(hcn, kind, *id))?;
            if again.is_some_and(|again| is_other(&(id, &again))) {
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
    Ok((facts, documents.into_values().collect()))
}

fn ids(documents: &[Value]) -> BTreeSet<Guid> {
    // The v1 list also has routes, which are another kind in v2.
    documents.iter().filter(|document| !is_route(document)).filter_map(raw::id_of).collect()
}

fn is_route(document: &Value) -> bool {
    let policies = document.get("Policies").and_then(Value::as_array).into_iter().flatten();
    let is = |policy: &Value| {
        policy.get("Type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("ROUTE"))
    };
    document.get("References").is_some() && policies.into_iter().any(is)
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

/// An object that was deleted after the list was read is left out.
fn present(result: Result<Value, Error>) -> Result<Option<Value>, Error> {
    match result {
        Ok(document) => Ok(Some(document)),
        Err(error) if error.class() == Class::Absent => Ok(None),
        Err(error) => Err(error),
    }
}
