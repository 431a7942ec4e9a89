//! What decides about packets: the objects of HNS and the rules compiled from them. It changes only with [`Change`]s.

use crate::assumptions::ServiceDown;
use crate::objects::Objects;
use crate::rules::{Affected, Rules};
use crate::{Assumptions, Change, Node};

/// Objects, rules and assumptions.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) node: Node,
    pub(crate) assumptions: Assumptions,
    pub(crate) objects: Objects,
    pub(crate) rules: Rules,
    is_service_stopped: bool,
    /// Changes since the service stopped. HNS programs the switch, so it takes them when it runs again.
    postponed: Vec<Change>,
}

impl Policy {
    pub(crate) fn new(node: Node, assumptions: Assumptions) -> Self {
        Self {
            node,
            assumptions,
            objects: Objects::default(),
            rules: Rules::default(),
            is_service_stopped: false,
            postponed: Vec::new(),
        }
    }

    /// Whether the rules of load balancers are in the switch.
    pub(crate) fn has_rules(&self) -> bool {
        !self.is_service_stopped || self.assumptions.service_down == ServiceDown::RulesStay
    }

    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::ServiceStopped => self.stop_service(),
            Change::ServiceStarted => self.start_service(),
            change if self.is_service_stopped => self.postponed.push(change),
            change => self.apply_object(change),
        }
    }

    fn stop_service(&mut self) {
        self.is_service_stopped = true;
        if !self.has_rules() {
            self.objects.ports.outdate_all();
        }
    }

    fn start_service(&mut self) {
        let had_rules = self.has_rules();
        self.is_service_stopped = false;
        for change in std::mem::take(&mut self.postponed) {
            self.apply_object(change);
        }
        if !had_rules {
            self.rules.recreate_all();
            self.objects.ports.outdate_all();
        }
    }

    fn apply_object(&mut self, change: Change) {
        match change {
            Change::Network(id, network) => {
                if self.objects.set_network(id, network.as_deref()) {
                    self.objects.ports.outdate_all();
                }
            }
            Change::Endpoint(id, endpoint) => {
                if self.objects.set_endpoint(id, endpoint.as_deref(), &self.node) {
                    self.rules.endpoint_changed(id, &self.objects, &self.assumptions);
                    self.objects.ports.outdate_all();
                }
            }
            Change::LoadBalancer(id, document) => {
                let document = document.map(|document| *document);
                match self.rules.set(id, document, &self.objects, &self.assumptions) {
                    Affected::None => {}
                    Affected::Network(network) => self.objects.ports.outdate_network(network),
                    Affected::All => self.objects.ports.outdate_all(),
                }
            }
            // Not an object.
            Change::ServiceStopped | Change::ServiceStarted => {}
        }
    }
}
