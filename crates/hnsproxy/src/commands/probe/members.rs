//! Finds members of documents that nobody has described, and what cannot be read.

use std::collections::BTreeMap;

use hcn::schema::v1::{HnsEndpoint, HnsNetwork, PolicyList};
use hcn::schema::{Document, Endpoint, LoadBalancer, Network};
use hcn::{Error, Kind};
use serde_json::Value;

use super::described;
use super::raw::MAX_EXCERPT;
use super::survey::MemberFacts;

/// What was found in documents, by kind, API and member.
#[derive(Default)]
pub(super) struct Members {
    unknown: BTreeMap<Key, (u64, String)>,
    unreadable: BTreeMap<Key, (u64, String)>,
}

type Key = (&'static str, &'static str, String);

impl Members {
    pub(super) fn add_v1(&mut self, kind: Kind, document: &Value) {
        match kind {
            Kind::Network => self.add::<HnsNetwork>(kind, "v1", document),
            Kind::Endpoint => self.add::<HnsEndpoint>(kind, "v1", document),
            _ => self.add::<PolicyList>(kind, "v1", document),
        }
    }

    pub(super) fn add_v2(&mut self, kind: Kind, document: &Value) {
        match kind {
            Kind::Network => self.add::<Network>(kind, "v2", document),
            Kind::Endpoint => self.add::<Endpoint>(kind, "v2", document),
            _ => self.add::<LoadBalancer>(kind, "v2", document),
        }
    }

    /// A v2 document that HNS did not return, or that is not JSON.
    pub(super) fn add_failure(&mut self, kind: Kind, error: &Error) {
        count(&mut self.unreadable, (kind.name(), "v2", String::new()), &Value::String(error.to_string()));
    }

    pub(super) fn unknown(&self) -> Vec<MemberFacts> {
        facts(&self.unknown)
    }

    pub(super) fn unreadable(&self) -> Vec<MemberFacts> {
        facts(&self.unreadable)
    }

    fn add<D: Document>(&mut self, kind: Kind, api: &'static str, document: &Value) {
        match D::deserialize(document) {
            Err(_) => count(&mut self.unreadable, (kind.name(), api, String::new()), document),
            Ok(read) => {
                for one in read.unreadable_members() {
                    count(&mut self.unreadable, (kind.name(), api, one.member), &one.value);
                }
            }
        }
        for (name, value) in described::unknown(kind, api, document) {
            count(&mut self.unknown, (kind.name(), api, name), value);
        }
    }
}

fn count(members: &mut BTreeMap<Key, (u64, String)>, key: Key, value: &Value) {
    let (objects, excerpt) = members.entry(key).or_default();
    *objects += 1;
    *excerpt = value.to_string().chars().take(MAX_EXCERPT).collect();
}

fn facts(members: &BTreeMap<Key, (u64, String)>) -> Vec<MemberFacts> {
    let fact = |((kind, api, member), (objects, value)): (&Key, &(u64, String))| MemberFacts {
        kind: (*kind).to_owned(),
        api: (*api).to_owned(),
        member: member.clone(),
        objects: *objects,
        value: value.clone(),
    };
    members.iter().map(fact).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_unknown_or_unreadable_and_documents_unreadable() {
        let mut members = Members::default();
        members.add_v2(Kind::LoadBalancer, &json!({"ID": "", "State": 2, "Surprise": {"a": 1}, "FrontendVIPs": 7}));
        members.add_v1(Kind::Endpoint, &json!("x".repeat(300)));
        let brief = |all: Vec<MemberFacts>| -> Vec<_> {
            all.into_iter().map(|one| (one.kind, one.api, one.member, one.value.len())).collect()
        };
        let row = |kind: &str, api: &str, member: &str, length| (kind.into(), api.into(), member.into(), length);
        assert_eq!(brief(members.unknown()), [row("LoadBalancer", "v2", "Surprise", 7)]);
        assert_eq!(
            brief(members.unreadable()),
            [row("Endpoint", "v1", "", 200), row("LoadBalancer", "v2", "FrontendVIPs", 1)]
        );
    }
}
