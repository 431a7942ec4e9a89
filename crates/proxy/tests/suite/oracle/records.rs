//! What is recorded of the objects in HNS: their documents, and which of them others have changed.

use hcn::schema::{Endpoint, LoadBalancer};
use hcn::{Guid, Kind};
use hcn_emulator::Emulator;
use proxy::Frontend;
use serde_json::Value;

use super::difference::Subject;
use super::disturbances::What;
use super::hns::{State, id_of};
use super::write::Write;

impl State {
    /// Records that an object is not as the process knows it.
    pub(super) fn note(&mut self, kind: Kind, document: &Option<Value>, what: What) {
        let Some(document) = document else { return };
        let id = id_of(document);
        self.witness.log(format!("{what:?} of {kind:?} {id} change"));
        self.documents.insert(id, document.clone());
        self.remember(kind, id, document);
        self.mistaken = true;
        // The process recognizes its objects by their ids. Where HNS chooses them, what vanishes and returns is foreign.
        if what == What::Ids && !proxy::identity::is_ours(id) {
            self.witness.foreign.insert(id);
        }
        let clock = self.clock;
        let mut subjects: Vec<Subject> = Vec::new();
        match kind {
            Kind::Endpoint => {
                let endpoint: Endpoint = serde_json::from_value(document.clone()).unwrap();
                subjects.extend(endpoint.addresses().map(Subject::Address));
                if endpoint.name == self.witness.facts.settings.root_endpoint_name {
                    subjects.push(Subject::Networks);
                }
            }
            Kind::LoadBalancer => {
                let balancer: LoadBalancer = serde_json::from_value(document.clone()).unwrap();
                subjects.extend(Frontend::of(&balancer).map(Subject::Frontend));
                let addresses = balancer.endpoint_ids().filter_map(|id| self.witness.seen.get(&id)).flatten();
                subjects.extend(addresses.map(|address| Subject::Address(*address)));
            }
            _ => subjects.push(Subject::Networks),
        }
        for subject in subjects {
            self.witness.disturbances.add(subject, what, clock);
            *self.witness.incidents.entry(subject).or_default() += 1;
        }
    }

    pub(super) fn remember(&mut self, kind: Kind, id: Guid, document: &Value) {
        if kind == Kind::Endpoint {
            let endpoint: Endpoint = serde_json::from_value(document.clone()).unwrap();
            self.witness.seen.insert(id, endpoint.addresses().collect());
        }
    }

    pub(super) fn bury(&mut self, before: Option<(Kind, Guid, Value)>) {
        let Some((kind, id, document)) = before else { return };
        self.documents.insert(id, document.clone());
        if self.graveyard.len() == 16 {
            self.graveyard.remove(0);
        }
        self.graveyard.push((kind, id, document));
    }

    /// Learns the addresses of a created endpoint.
    pub(super) fn learn(&mut self, emulator: &Emulator, write: &Write) {
        if let Write::CreateEndpoint(_) = write
            && let Some(document) = emulator.documents(Kind::Endpoint).last()
        {
            let document = document.clone();
            self.remember(Kind::Endpoint, id_of(&document), &document);
        }
    }
}
