//! Endpoints come into namespaces, and onto ports of the switch, and go.

use hcn::schema::Endpoint;
use hcn::{Event, Guid, Kind};
use serde_json::{Value, json};

use super::members::{complete, resources, unset};
use super::{Store, as_id, id_of, read, set};
use crate::rules::{self, Rule};

/// The `State` of an endpoint that is on a port of the switch.
const ATTACHED: u64 = 2;
/// The `State` of one that no longer is.
const DETACHED: u64 = 4;

/// Whether an endpoint's document says that it is on a port of the switch.
pub(super) fn is_on_port(document: &Value) -> bool {
    document.get("State").and_then(Value::as_u64) == Some(ATTACHED)
}

impl Store {
    /// Puts an endpoint into a namespace.
    pub(crate) fn attach(&mut self, namespace: Guid, endpoint: Guid) -> Result<(), Rule> {
        let document = self.get(Kind::Endpoint, endpoint)?;
        if id_of(document, "HostComputeNamespace").is_some_and(|id| !id.is_nil()) {
            return Err(rules::IN_NAMESPACE);
        }
        if read::<Endpoint>(document).is_remote() {
            return Err(rules::REMOTE_PORT);
        }
        self.get(Kind::Namespace, namespace)?;
        if let Some(document) = self.get_mut(Kind::Namespace, namespace) {
            complete(document, "Resources", || json!([]));
            if let Some(list) = document.get_mut("Resources").and_then(Value::as_array_mut) {
                list.push(json!({"Type": "Endpoint", "Data": {"Id": endpoint}}));
            }
        }
        if let Some(document) = self.get_mut(Kind::Endpoint, endpoint) {
            set(document, "HostComputeNamespace", namespace.to_string());
        }
        self.on_port(endpoint);
        Ok(())
    }

    /// Takes an endpoint out of a namespace.
    pub(crate) fn detach(&mut self, namespace: Guid, endpoint: Guid) -> Result<(), Rule> {
        let held = resources(self.get(Kind::Namespace, namespace)?).any(|id| id == endpoint);
        if !held {
            return Err(rules::NOT_IN_NAMESPACE);
        }
        let document = self.get_mut(Kind::Namespace, namespace);
        if let Some(list) = document.and_then(|document| document.get_mut("Resources")?.as_array_mut()) {
            list.retain(|resource| resource.pointer("/Data/Id").and_then(as_id) != Some(endpoint));
        }
        self.detached(endpoint);
        Ok(())
    }

    /// v1 attaches an endpoint to a compartment, without a namespace.
    pub(crate) fn attach_v1(&mut self, endpoint: Guid) -> Result<(), Rule> {
        if self.local_state(endpoint)? == Some(ATTACHED) {
            return Err(rules::ALREADY_ATTACHED);
        }
        self.on_port(endpoint);
        Ok(())
    }

    /// v1 detaches an endpoint, out of its namespace too if it is in one.
    pub(crate) fn detach_v1(&mut self, endpoint: Guid) -> Result<(), Rule> {
        if self.local_state(endpoint)? != Some(ATTACHED) {
            return Err(rules::NOT_ATTACHED);
        }
        match id_of(self.get(Kind::Endpoint, endpoint)?, "HostComputeNamespace") {
            Some(namespace) if self.table(Kind::Namespace).get(namespace).is_some() => self.detach(namespace, endpoint),
            _ => {
                self.detached(endpoint);
                Ok(())
            }
        }
    }

    fn local_state(&self, endpoint: Guid) -> Result<Option<u64>, Rule> {
        let document = self.get(Kind::Endpoint, endpoint)?;
        if read::<Endpoint>(document).is_remote() {
            return Err(rules::REMOTE_PORT);
        }
        Ok(document.get("State").and_then(Value::as_u64))
    }

    fn on_port(&mut self, endpoint: Guid) {
        self.unattached.remove(&endpoint);
        if let Some(document) = self.get_mut(Kind::Endpoint, endpoint) {
            set(document, "State", ATTACHED);
            self.happened.push((Event::EndpointAttached, endpoint));
        }
    }

    /// An endpoint, if it is still there, is in no namespace and on no port.
    pub(super) fn detached(&mut self, endpoint: Guid) {
        if let Some(document) = self.get_mut(Kind::Endpoint, endpoint) {
            unset(document, "HostComputeNamespace");
            let was_attached = is_on_port(document);
            set(document, "State", DETACHED);
            self.happened.extend(was_attached.then_some((Event::EndpointDetached, endpoint)));
            self.unattached.insert(endpoint);
        }
    }
}
