//! Finds members of documents that nobody has described, and what cannot be read.

use std::collections::BTreeMap;

use hcn::schema::v1::{HnsEndpoint, HnsNetwork, PolicyList};
use hcn::schema::{Document, Endpoint, LoadBalancer, Network, Unreadable};
use hcn::{Error, Kind};
use hcn_survey::{DocumentFacts, MemberFacts};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::described;
use super::raw::{self, excerpt};

/// The largest number of documents of one kind and API that are kept: one defect of the model usually concerns all of them.
const MAX_DOCUMENTS: usize = 10;
/// The longest document that is kept whole, in characters. Those of HNS have some thousands.
const MAX_CHARACTERS: usize = 1 << 15;

/// What was found in documents, by kind, API and member.
#[derive(Default)]
pub(super) struct Members {
    unknown: BTreeMap<Key, (u64, String)>,
    unreadable: BTreeMap<Key, (u64, String)>,
    documents: BTreeMap<(&'static str, &'static str), Vec<String>>,
}

type Key = (&'static str, &'static str, String);

impl Members {
    pub(super) fn add_v1(&mut self, kind: Kind, document: &Value) {
        match kind {
            Kind::Network => self.add(kind, "v1", document, read::<HnsNetwork, Network>(document)),
            Kind::Endpoint => self.add(kind, "v1", document, read::<HnsEndpoint, Endpoint>(document)),
            // Routes are not read.
            _ if raw::is_route(document) => self.add_unknown(kind, "v1", document),
            _ => self.add(kind, "v1", document, read::<PolicyList, LoadBalancer>(document)),
        }
    }

    pub(super) fn add_v2(&mut self, kind: Kind, document: &Value) {
        match kind {
            Kind::Network => self.add(kind, "v2", document, read::<Network, Network>(document)),
            Kind::Endpoint => self.add(kind, "v2", document, read::<Endpoint, Endpoint>(document)),
            _ => self.add(kind, "v2", document, read::<LoadBalancer, LoadBalancer>(document)),
        }
    }

    /// A v2 document that HNS did not return.
    pub(super) fn add_failure(&mut self, kind: Kind, error: &Error) {
        count(&mut self.unreadable, (kind.name(), "v2", String::new()), &Value::String(error.to_string()));
    }

    pub(super) fn unknown(&self) -> Vec<MemberFacts> {
        facts(&self.unknown)
    }

    pub(super) fn unreadable(&self) -> Vec<MemberFacts> {
        facts(&self.unreadable)
    }

    pub(super) fn documents(&self) -> Vec<DocumentFacts> {
        let facts = |(kind, api): (&str, &str), document: &String| DocumentFacts {
            kind: kind.to_owned(),
            api: api.to_owned(),
            text: document.chars().take(MAX_CHARACTERS).collect(),
            characters: document.chars().count(),
        };
        self.documents.iter().flat_map(|(key, all)| all.iter().map(|document| facts(*key, document))).collect()
    }

    /// `members` are those that cannot be read; `None` if the whole document cannot.
    fn add(&mut self, kind: Kind, api: &'static str, document: &Value, members: Option<Vec<Unreadable>>) {
        if members.as_ref().is_none_or(|members| !members.is_empty()) {
            let whole = members.is_none().then(|| (String::new(), document.clone()));
            let members = members.into_iter().flatten().map(|one| (one.member, one.value));
            for (member, value) in whole.into_iter().chain(members) {
                count(&mut self.unreadable, (kind.name(), api, member), &value);
            }
            self.keep(kind, api, document);
        }
        self.add_unknown(kind, api, document);
    }

    fn add_unknown(&mut self, kind: Kind, api: &'static str, document: &Value) {
        for (name, value) in described::unknown(kind, api, document) {
            count(&mut self.unknown, (kind.name(), api, name), value);
        }
    }

    fn keep(&mut self, kind: Kind, api: &'static str, document: &Value) {
        let kept = self.documents.entry((kind.name(), api)).or_default();
        if kept.len() < MAX_DOCUMENTS {
            // A document that is not JSON is its text.
            kept.push(document.as_str().map_or_else(|| document.to_string(), str::to_owned));
        }
    }
}

/// The members that cannot be read, in the form that hnsproxy uses: v1 documents are converted, which also reads the policies inside.
fn read<D: DeserializeOwned, T: Document + TryFrom<D>>(document: &Value) -> Option<Vec<Unreadable>> {
    let read = D::deserialize(document).ok()?;
    T::try_from(read).ok().map(|converted| converted.unreadable_members())
}

fn count(members: &mut BTreeMap<Key, (u64, String)>, key: Key, value: &Value) {
    let (objects, last) = members.entry(key).or_default();
    *objects += 1;
    *last = excerpt(&value.to_string());
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

    #[test]
    fn members_inside_v1_documents_are_read() {
        let mut members = Members::default();
        members
            .add_v1(Kind::LoadBalancer, &json!({"References": [], "Policies": [{"Type": "ELB", "ExternalPort": []}]}));
        members.add_v1(Kind::LoadBalancer, &json!({"References": [], "Policies": [{"Type": "Other"}]}));
        members.add_v1(Kind::LoadBalancer, &json!({"References": [], "Policies": [{"Type": "ROUTE"}]}));
        let found: Vec<_> = members.unreadable().into_iter().map(|one| (one.member, one.objects)).collect();
        assert_eq!(found, [(String::new(), 1), ("PortMappings.ExternalPort".to_owned(), 1)]);
    }

    #[test]
    fn documents_that_cannot_be_read_are_kept_up_to_a_number_and_a_size() {
        let mut members = Members::default();
        for number in 0..100 {
            members.add_v1(Kind::Endpoint, &json!({"IPAddress": [number]}));
            members.add_v1(Kind::Endpoint, &json!({"IPAddress": "10.0.0.1"}));
        }
        members.add_v2(Kind::Endpoint, &json!("{".repeat(MAX_CHARACTERS + 1)));
        let facts = |api: &str, text: String, characters| DocumentFacts {
            kind: "Endpoint".into(),
            api: api.into(),
            text,
            characters,
        };
        let mut expected: Vec<_> =
            (0..MAX_DOCUMENTS).map(|number| facts("v1", format!(r#"{{"IPAddress":[{number}]}}"#), 17)).collect();
        expected.push(facts("v2", "{".repeat(MAX_CHARACTERS), MAX_CHARACTERS + 1));
        assert_eq!(members.documents(), expected);
    }
}
