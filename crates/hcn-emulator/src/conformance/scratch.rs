//! The objects of one check.

use std::cell::RefCell;
use std::sync::Arc;

use hcn::call::Call;
use hcn::schema::{Endpoint, EndpointFlags, IpConfiguration, LoadBalancer, PortMapping, Protocol};
use hcn::{ApiVersion, Class, Client, Error, Guid, Hcn, Kind};
use hcn_survey::{Answer, answer};
use serde_json::{Value, json};

use super::{close, text};

/// The MAC address of [`remote`].
pub(super) const MAC: &str = "02-11-0a-f4-02-07";

/// A network with endpoints and load balancers, deleted when dropped.
pub(super) struct Scratch {
    pub(super) hcn: Arc<dyn Hcn>,
    pub(super) client: Client,
    pub(super) network: Guid,
    load_balancers: RefCell<Vec<Guid>>,
}

impl Scratch {
    /// A NAT network.
    pub(super) fn new(hcn: &Arc<dyn Hcn>) -> Result<Self, String> {
        Self::of(hcn, json!({ "Type": "NAT", "Ipams": ipams(&json!([])) }))
    }

    /// An overlay network.
    pub(super) fn overlay(hcn: &Arc<dyn Hcn>) -> Result<Self, String> {
        let policies = json!([{"Type": "VSID", "Settings": {"IsolationId": 5000}}]);
        let range = json!({"StartMacAddress": "00-15-5D-52-C0-00", "EndMacAddress": "00-15-5D-52-CF-FF"});
        // Flag 8: the network does not survive a restart of the host, if a failed run leaves it behind.
        Self::of(
            hcn,
            json!({ "Type": "Overlay", "Flags": 8, "MacPool": {"Ranges": [range]}, "Ipams": ipams(&policies) }),
        )
    }

    /// A network by settings in the v2 schema.
    fn of(hcn: &Arc<dyn Hcn>, mut settings: Value) -> Result<Self, String> {
        if let Value::Object(members) = &mut settings {
            members.insert("SchemaVersion".into(), json!({"Major": 2, "Minor": 0}));
        }
        Self::with(hcn, settings)
    }

    /// A network by settings in either schema.
    pub(super) fn with(hcn: &Arc<dyn Hcn>, mut settings: Value) -> Result<Self, String> {
        let network = Guid::new_v4();
        if let Value::Object(members) = &mut settings {
            members.insert("Name".into(), format!("conformance-{network}").into());
        }
        let call = Call::Create { kind: Kind::Network, network: None, id: network, settings: settings.to_string() };
        let made = hcn.call(&call);
        close(hcn, Kind::Network, &made);
        made.map_err(text)?;
        Ok(Self { hcn: hcn.clone(), client: client(hcn), network, load_balancers: RefCell::default() })
    }

    /// Creates a remote endpoint, and returns its id in HNS.
    pub(super) fn remote(&self, address: &str) -> Result<Guid, String> {
        self.remote_as(Guid::new_v4(), address)
    }

    pub(super) fn remote_as(&self, id: Guid, address: &str) -> Result<Guid, String> {
        client(&self.hcn).create_endpoint(self.network, id, &remote(address)).map_err(text)
    }

    /// Creates a load balancer with an id, deleted when `self` is dropped. Returns its id in HNS. Uses a new client: once a client has seen that HNS
    /// keeps requested ids, it does not read created objects.
    pub(super) fn balance_as(&self, id: Guid, document: &LoadBalancer) -> Result<Guid, Error> {
        let made = client(&self.hcn).create_load_balancer(id, document)?;
        self.load_balancers.borrow_mut().push(made);
        Ok(made)
    }

    pub(super) fn balance(&self, document: &LoadBalancer) -> Result<Guid, Error> {
        self.balance_as(Guid::new_v4(), document)
    }

    /// Deletes a load balancer, at the second attempt if the first one fails, as on some builds.
    pub(super) fn delete(&self, id: Guid) -> Result<(), Error> {
        self.client.delete_load_balancer(id).or_else(|_| self.client.delete_load_balancer(id))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for id in self.load_balancers.take() {
            let _ = self.delete(id);
        }
        let _ = self.hcn.call(&Call::Delete { kind: Kind::Network, id: self.network });
    }
}

fn client(hcn: &Arc<dyn Hcn>) -> Client {
    Client::new(hcn.clone(), ApiVersion::V2)
}

/// The subnet of a network, with policies.
fn ipams(policies: &Value) -> Value {
    json!([{"Type": "Static", "Subnets": [{"IpAddressPrefix": "192.168.214.0/24", "Policies": policies,
            "Routes": [{"NextHop": "192.168.214.1", "DestinationPrefix": "0.0.0.0/0"}]}]}])
}

pub(super) fn remote(address: &str) -> Endpoint {
    Endpoint {
        ip_configurations: vec![IpConfiguration { ip_address: address.into(), ..IpConfiguration::default() }],
        mac_address: MAC.into(),
        flags: EndpointFlags::REMOTE,
        ..Endpoint::default()
    }
}

pub(super) fn balancer(vip: &str, endpoints: &[Guid]) -> LoadBalancer {
    LoadBalancer {
        host_compute_endpoints: endpoints.iter().map(Guid::to_string).collect(),
        frontend_vips: vec![vip.into()],
        port_mappings: vec![PortMapping {
            protocol: Protocol::TCP,
            internal_port: 8080,
            external_port: 80,
            ..PortMapping::default()
        }],
        ..LoadBalancer::default()
    }
}

/// Deletes an object, and returns how that ends.
pub(super) fn deletion<T>(delete: impl Fn() -> Result<(), Error>, read: impl Fn() -> Result<T, Error>) -> Answer {
    let first = delete();
    let is_first = first.is_ok();
    let result = first.or_else(|_| delete()).and_then(|()| match read() {
        Ok(_) => Ok(answer::LEFT),
        Err(error) if error.class() == Class::Absent => {
            Ok(if is_first { answer::SUCCEEDS } else { answer::SECOND_ATTEMPT })
        }
        Err(error) => Err(error),
    });
    result.map_or_else(|error| Answer::from(&error), Answer::from)
}
