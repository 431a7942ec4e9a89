//! Adds endpoints and containers to namespaces and switch ports, and removes them.

use hcn::schema::Endpoint;
use hcn::{Event, Guid, Kind};
use serde_json::{Value, json};

use super::members::{complete, resource_of, resources, texts, unset};
use super::{Store, id_of, is_remote, read, set};
use crate::rules::{self, Rule};

/// The `State` of an endpoint with a switch port.
const ATTACHED: u64 = 2;
/// The `State` of an endpoint that several containers share.
const SHARED: u64 = 3;
/// The `State` of an endpoint without a switch port: a new, detached or remote one.
const CREATED: u64 = 1;

/// Whether an endpoint has a switch port, by its document.
pub(super) fn is_on_port(document: &Value) -> bool {
    let state = document.get("State").and_then(Value::as_u64);
    state.is_some_and(|state| [ATTACHED, SHARED].contains(&state))
}

impl Store {
    /// Adds an endpoint to a namespace.
    pub(crate) fn attach(&mut self, namespace: Guid, endpoint: Guid) -> Result<(), Rule> {
        let document = self.get(Kind::Endpoint, endpoint)?;
        if id_of(document, "HostComputeNamespace").is_some_and(|id| !id.is_nil()) {
            return Err(rules::IN_NAMESPACE);
        }
        if read::<Endpoint>(document).is_remote() {
            return Err(rules::REMOTE_PORT);
        }
        self.enlist(namespace, "Endpoint", &endpoint.to_string())?;
        if let Some(document) = self.edit(Kind::Endpoint, endpoint) {
            set(document, "HostComputeNamespace", namespace.to_string());
        }
        self.on_port(endpoint);
        Ok(())
    }

    /// Removes an endpoint from a namespace.
    pub(crate) fn detach(&mut self, namespace: Guid, endpoint: Guid) -> Result<(), Rule> {
        self.delist(namespace, "Endpoint", &endpoint.to_string())?;
        self.detached(endpoint);
        Ok(())
    }

    /// Adds a resource to a namespace.
    pub(crate) fn enlist(&mut self, namespace: Guid, kind: &str, id: &str) -> Result<(), Rule> {
        if resources(self.get(Kind::Namespace, namespace)?, kind).any(|held| held.eq_ignore_ascii_case(id)) {
            return Ok(());
        }
        if let Some(document) = self.edit(Kind::Namespace, namespace) {
            complete(document, "Resources", || json!([]));
            if let Some(list) = document.get_mut("Resources").and_then(Value::as_array_mut) {
                list.push(json!({"Type": kind, "Data": {"Id": id}}));
            }
        }
        Ok(())
    }

    /// Removes a resource from a namespace.
    pub(crate) fn delist(&mut self, namespace: Guid, kind: &str, id: &str) -> Result<(), Rule> {
        let is = |held: &str| held.eq_ignore_ascii_case(id);
        if !resources(self.get(Kind::Namespace, namespace)?, kind).any(is) {
            return Err(rules::NOT_IN_NAMESPACE);
        }
        let document = self.edit(Kind::Namespace, namespace);
        if let Some(list) = document.and_then(|document| document.get_mut("Resources")?.as_array_mut()) {
            list.retain(|resource| !resource_of(resource, kind).is_some_and(is));
        }
        Ok(())
    }

    /// v1 attaches an endpoint to a compartment, without a namespace: for a container, which others may join, or for the host.
    pub(crate) fn attach_v1(&mut self, endpoint: Guid, container: Option<&str>) -> Result<(), Rule> {
        let attached = self.is_attached(endpoint)?;
        let mut containers = self.containers(endpoint)?;
        match container {
            Some(container) if !containers.iter().any(|own| own == container) => containers.push(container.to_owned()),
            _ if attached => return Err(rules::ALREADY_ATTACHED),
            _ => {}
        }
        self.on_port(endpoint);
        self.share(endpoint, containers);
        Ok(())
    }

    /// v1 detaches an endpoint from a container, or from all. With the last one it leaves its namespace.
    pub(crate) fn detach_v1(&mut self, endpoint: Guid, container: Option<&str>) -> Result<(), Rule> {
        let mut containers = self.containers(endpoint)?;
        let before = containers.len();
        containers.retain(|own| container.is_some_and(|gone| own != gone));
        let known = container.is_none() || containers.len() < before;
        if !self.is_attached(endpoint)? || !known {
            return Err(rules::NOT_ATTACHED);
        }
        if !containers.is_empty() {
            self.share(endpoint, containers);
            return Ok(());
        }
        match id_of(self.get(Kind::Endpoint, endpoint)?, "HostComputeNamespace") {
            Some(namespace) if self.table(Kind::Namespace).get(namespace).is_some() => self.detach(namespace, endpoint),
            _ => {
                self.detached(endpoint);
                Ok(())
            }
        }
    }

    /// The `State` of an endpoint whose document has none.
    pub(crate) fn state_of_endpoint(&self, endpoint: &Value) -> u64 {
        let created = is_remote(endpoint) || id_of(endpoint, "ID").is_some_and(|id| self.unattached.contains(&id));
        if created { CREATED } else { ATTACHED }
    }

    fn is_attached(&self, endpoint: Guid) -> Result<bool, Rule> {
        let document = self.get(Kind::Endpoint, endpoint)?;
        if read::<Endpoint>(document).is_remote() {
            return Err(rules::REMOTE_PORT);
        }
        Ok(is_on_port(document))
    }

    /// The containers that an endpoint is attached to.
    fn containers(&self, endpoint: Guid) -> Result<Vec<String>, Rule> {
        Ok(texts(self.get(Kind::Endpoint, endpoint)?, "SharedContainers").map(str::to_owned).collect())
    }

    fn share(&mut self, endpoint: Guid, containers: Vec<String>) {
        if let Some(document) = self.edit(Kind::Endpoint, endpoint) {
            set(document, "State", if containers.len() > 1 { SHARED } else { ATTACHED });
            if !containers.is_empty() {
                set(document, "SharedContainers", containers);
            }
        }
    }

    fn on_port(&mut self, endpoint: Guid) {
        self.unattached.remove(&endpoint);
        if let Some(document) = self.edit(Kind::Endpoint, endpoint) {
            set(document, "State", ATTACHED);
            self.happened.push((Event::EndpointAttached, endpoint));
        }
    }

    /// Clears namespace and port of an endpoint, if it exists.
    pub(super) fn detached(&mut self, endpoint: Guid) {
        if let Some(document) = self.edit(Kind::Endpoint, endpoint) {
            unset(document, "HostComputeNamespace");
            let was_attached = is_on_port(document);
            unset(document, "SharedContainers");
            set(document, "State", CREATED);
            self.happened.extend(was_attached.then_some((Event::EndpointDetached, endpoint)));
            self.unattached.insert(endpoint);
        }
    }
}
