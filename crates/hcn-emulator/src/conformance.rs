//! Conformance cases: the behaviour of HNS that a Service proxy relies on, for any implementation of [`Hcn`].
//!
//! Each case creates its own network and deletes it at the end, its load balancers first, since HNS does not document that it deletes
//! them with the network. Networks have the type NAT, which needs no adapter; those with load balancers are overlays, as in hnslib's
//! tests.

mod cni;
mod reports;

use hcn::call::{Call, Method, Reply};
use hcn::schema::{Endpoint, EndpointFlags, IpConfiguration, LoadBalancer, PortMapping, Protocol, Query};
use hcn::{ApiVersion, Class, Client, Error, Features, Guid, Hcn, Hresult, Kind};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::Arc;

#[derive(Clone, Copy)]
pub struct Case {
    /// The behaviour that the case shows.
    pub name: &'static str,
    /// Whether the case applies to an HNS with these features.
    pub applies: fn(&Features) -> bool,
    /// Runs the case. The error names the failed expectation.
    pub run: fn(&Arc<dyn Hcn>) -> Result<(), String>,
}

/// A network with endpoints and load balancers, deleted when dropped.
struct Scratch {
    hcn: Arc<dyn Hcn>,
    client: Client,
    network: Guid,
    load_balancers: RefCell<Vec<Guid>>,
}

impl Scratch {
    /// A NAT network.
    fn new(hcn: &Arc<dyn Hcn>) -> Result<Self, String> {
        Self::of(hcn, json!({ "Type": "NAT", "Ipams": ipams(&json!([])) }))
    }

    /// An overlay network.
    fn overlay(hcn: &Arc<dyn Hcn>) -> Result<Self, String> {
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
    fn with(hcn: &Arc<dyn Hcn>, mut settings: Value) -> Result<Self, String> {
        let network = Guid::new_v4();
        if let Value::Object(members) = &mut settings {
            members.insert("Name".into(), format!("conformance-{network}").into());
        }
        let call = Call::Create { kind: Kind::Network, network: None, id: network, settings: settings.to_string() };
        let Reply::Handle(handle) = hcn.call(&call).map_err(|e| e.to_string())? else {
            return Err("HcnCreateNetwork returned no handle".into());
        };
        let _ = hcn.call(&Call::Close { kind: Kind::Network, handle });
        let client = Client::new(hcn.clone(), ApiVersion::V2);
        Ok(Self { hcn: hcn.clone(), client, network, load_balancers: RefCell::default() })
    }

    fn remote(&self, address: &str) -> Result<Guid, String> {
        self.client.create_endpoint(self.network, Guid::new_v4(), &remote(address)).map_err(|e| e.to_string())
    }

    /// Creates a load balancer with an id, deleted when `self` is dropped.
    fn balance_as(&self, id: Guid, document: &LoadBalancer) -> Result<Guid, Error> {
        let made = self.client.create_load_balancer(id, document)?;
        self.load_balancers.borrow_mut().push(made);
        Ok(made)
    }

    fn balance(&self, document: &LoadBalancer) -> Result<Guid, Error> {
        self.balance_as(Guid::new_v4(), document)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for id in self.load_balancers.take() {
            let _ = self.client.delete_load_balancer(id);
        }
        let _ = self.hcn.call(&Call::Delete { kind: Kind::Network, id: self.network });
    }
}

/// The subnet of a network, with policies.
fn ipams(policies: &Value) -> Value {
    json!([{"Type": "Static", "Subnets": [{"IpAddressPrefix": "192.168.214.0/24", "Policies": policies,
            "Routes": [{"NextHop": "192.168.214.1", "DestinationPrefix": "0.0.0.0/0"}]}]}])
}

fn remote(address: &str) -> Endpoint {
    Endpoint {
        ip_configurations: vec![IpConfiguration { ip_address: address.into(), ..IpConfiguration::default() }],
        mac_address: "02-11-0a-f4-02-07".into(),
        flags: EndpointFlags::REMOTE,
        ..Endpoint::default()
    }
}

fn balancer(vip: &str, endpoints: &[Guid]) -> LoadBalancer {
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

fn expect(condition: bool, what: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("expected {what}")) }
}

fn fails<T: std::fmt::Debug>(result: Result<T, Error>, codes: &[Hresult]) -> Result<(), String> {
    match result {
        Err(error) if error.code().is_some_and(|code| codes.contains(&code)) => Ok(()),
        other => Err(format!("expected one of {codes:?}, got {other:?}")),
    }
}

fn text(error: Error) -> String {
    error.to_string()
}

pub fn cases() -> impl Iterator<Item = &'static Case> {
    CASES.iter().chain(cni::CASES).chain(reports::CASES)
}

const CASES: &[Case] = &[
    Case {
        name: "a version of two numbers",
        applies: |_| true,
        run: |hcn| Client::new(hcn.clone(), ApiVersion::V1).version().map(drop).map_err(text),
    },
    Case {
        name: "lists of the HNS v1 API",
        applies: |_| true,
        run: |hcn| {
            for path in ["/networks/", "/endpoints/", "/policylists/", "/policylists"] {
                let call = Call::Hns { method: Method::Get, path: path.into(), body: String::new() };
                let Reply::Document(reply) = hcn.call(&call).map_err(text)? else {
                    return Err("expected a document".into());
                };
                let reply: Value = serde_json::from_str(&reply).map_err(|e| e.to_string())?;
                expect(reply.get("Success") == Some(&true.into()), "success in the envelope")?;
                expect(reply.get("Output").is_some_and(Value::is_array), "a list as output")?;
            }
            Ok(())
        },
    },
    Case {
        name: "a filter without a match returns an empty list",
        applies: |f| f.v2,
        run: |hcn| {
            let client = Client::new(hcn.clone(), ApiVersion::V2);
            expect(client.network_id("conformance-nobody").map_err(text)?.is_none(), "no network for an unknown name")?;
            for filter in [r#"{"ID":""}"#.to_owned(), format!(r#"{{"ID":"{}"}}"#, Guid::new_v4())] {
                let query = Query { filter, ..Query::all() }.to_json();
                let reply = hcn.call(&Call::Enumerate { kind: Kind::LoadBalancer, query }).map_err(text)?;
                expect(reply == Reply::Document("[]".into()), "an empty list")?;
            }
            Ok(())
        },
    },
    Case {
        name: "opening an absent object fails with a code for absent objects",
        applies: |f| f.v2,
        run: |hcn| {
            for kind in [Kind::Network, Kind::Endpoint, Kind::LoadBalancer, Kind::Namespace] {
                match hcn.call(&Call::Open { kind, id: Guid::new_v4() }) {
                    Err(error) if error.class() == Class::Absent => {}
                    other => return Err(format!("{kind:?}: {other:?}")),
                }
            }
            Ok(())
        },
    },
    Case {
        name: "a network is found by its name in any case",
        applies: |f| f.v2,
        run: |hcn| {
            let scratch = Scratch::new(hcn)?;
            let name = format!("CONFORMANCE-{}", scratch.network);
            let found = scratch.client.network(&name).map_err(text)?;
            expect(found.and_then(|network| network.id) == Some(scratch.network), "the new network")
        },
    },
    Case {
        name: "a remote endpoint keeps id, address, MAC and flag",
        applies: |f| f.v2,
        run: |hcn| {
            let scratch = Scratch::new(hcn)?;
            let id = Guid::new_v4();
            let made = scratch.client.create_endpoint(scratch.network, id, &remote("10.244.2.7")).map_err(text)?;
            expect(made == id, "the requested id")?;
            let endpoint = scratch.client.endpoint(id).map_err(text)?;
            expect(endpoint.is_remote(), "the flag")?;
            expect(endpoint.addresses().map(|a| a.to_string()).eq(["10.244.2.7"]), "the address")?;
            expect(endpoint.mac_address.eq_ignore_ascii_case("02-11-0a-f4-02-07"), "the MAC address")?;
            let listed = scratch.client.endpoints(scratch.network, Some).map_err(text)?;
            expect(listed.iter().map(|l| l.id).eq([id]), "only this endpoint with the filter VirtualNetwork")?;
            scratch.client.delete_endpoint(id).map_err(text)?;
            expect(
                scratch.client.endpoints(scratch.network, Some).map_err(text)?.is_empty(),
                "no endpoint after deletion",
            )
        },
    },
    Case {
        name: "an id can be used again after deletion, and not before",
        applies: |f| f.v2,
        run: |hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let backend = scratch.remote("10.244.2.7")?;
            let id = Guid::new_v4();
            let create = |vip: &str| scratch.balance_as(id, &balancer(vip, &[backend]));
            create("198.51.100.1").map_err(text)?;
            fails(create("198.51.100.2"), &[Hresult::ERROR_ALREADY_EXISTS, Hresult::HCN_E_PORT_ALREADY_EXISTS])?;
            scratch.client.delete_load_balancer(id).map_err(text)?;
            expect(create("198.51.100.1").map_err(text)? == id, "the same id")
        },
    },
    Case {
        name: "one frontend has one load balancer",
        applies: |f| f.v2,
        run: |hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let backend = scratch.remote("10.244.2.7")?;
            let create = |vip: &str| scratch.balance(&balancer(vip, &[backend]));
            let first = create("198.51.100.1").map_err(text)?;
            fails(create("198.51.100.1"), &[Hresult::HCN_E_PORT_ALREADY_EXISTS, Hresult::ERROR_ALREADY_EXISTS])?;
            create("198.51.100.2").map_err(text)?;
            scratch.client.delete_load_balancer(first).map_err(text)?;
            create("198.51.100.1").map(drop).map_err(text)
        },
    },
    Case {
        name: "a load balancer is returned as it was sent",
        applies: |f| f.v2,
        run: |hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let backends = [scratch.remote("10.244.2.7")?, scratch.remote("10.244.2.8")?];
            let sent = balancer("198.51.100.1", &backends);
            let id = scratch.balance(&sent).map_err(text)?;
            let back = scratch.client.load_balancer(id).map_err(text)?;
            expect(back.id == Some(id) && back.frontend_vips == sent.frontend_vips, "id and address")?;
            expect(back.port_mappings == sent.port_mappings && back.flags == sent.flags, "ports and flags")?;
            expect(back.endpoint_ids().eq(backends), "backends")
        },
    },
    Case {
        name: "an internal port is required",
        applies: |f| f.v2,
        run: |hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let mut document = balancer("198.51.100.1", &[scratch.remote("10.244.2.7")?]);
            document.port_mappings.iter_mut().for_each(|mapping| mapping.internal_port = 0);
            fails(scratch.balance(&document), &[Hresult::HCN_E_INVALID_INTERNAL_PORT])
        },
    },
    Case {
        name: "a load balancer is modified in place",
        applies: |f| f.modify_load_balancer,
        run: |hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let backends = [scratch.remote("10.244.2.7")?, scratch.remote("10.244.2.8")?];
            let id = scratch.balance(&balancer("198.51.100.1", &backends)).map_err(text)?;
            let fewer = balancer("198.51.100.1", &backends[..1]);
            let back = scratch.client.modify_load_balancer(id, &fewer, true).map_err(text)?;
            expect(
                back.is_some_and(|back| back.id == Some(id) && back.endpoint_ids().eq(backends[..1].iter().copied())),
                "one backend",
            )
        },
    },
    Case {
        name: "modifying a load balancer fails if it is unsupported",
        applies: |f| f.v2 && !f.accelnet,
        run: |hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let document = balancer("198.51.100.1", &[scratch.remote("10.244.2.7")?]);
            let id = scratch.balance(&document).map_err(text)?;
            fails(scratch.client.modify_load_balancer(id, &document, false), &[Hresult::E_NOTIMPL])
        },
    },
    Case {
        name: "deleting a network deletes its endpoints",
        applies: |f| f.v2,
        run: |hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let backend = scratch.remote("10.244.2.7")?;
            let id = scratch.balance(&balancer("198.51.100.1", &[backend])).map_err(text)?;
            let client = &scratch.client;
            hcn.call(&Call::Delete { kind: Kind::Network, id: scratch.network }).map_err(text)?;
            expect(
                client.endpoint(backend).is_err_and(|e| e.class() == Class::Absent),
                "no endpoint after deletion of its network",
            )?;
            let gone = client.load_balancer(id).is_err_and(|e| e.class() == Class::Absent);
            client.delete_load_balancer(id).map_err(text)?;
            expect(gone, "no load balancer after deletion of all its endpoints")
        },
    },
    Case {
        name: "a referenced endpoint can be deleted",
        applies: |f| f.v2,
        run: |hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let backends = [scratch.remote("10.244.2.7")?, scratch.remote("10.244.2.8")?];
            let id = scratch.balance(&balancer("198.51.100.1", &backends)).map_err(text)?;
            scratch.client.delete_endpoint(backends[0]).map_err(text)?;
            scratch.client.load_balancer(id).map_err(text)?;
            scratch.client.delete_load_balancer(id).map_err(text)
        },
    },
    Case {
        name: "both APIs have the same objects",
        applies: |f| f.v2,
        run: |hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let v1 = Client::new(hcn.clone(), ApiVersion::V1);
            let backend = scratch.remote("10.244.2.7")?;
            let id = scratch.balance(&balancer("198.51.100.1", &[backend])).map_err(text)?;
            let listed = v1.load_balancers(Some).map_err(text)?.into_iter().find(|l| l.id == id);
            let listed = listed.and_then(|l| l.document).ok_or("expected the load balancer in the v1 list")??;
            expect(
                listed.endpoint_ids().eq([backend]) && listed.frontend_vips == ["198.51.100.1"],
                "the same load balancer in v1",
            )?;
            let endpoints = v1.endpoints(scratch.network, Some).map_err(text)?;
            expect(endpoints.iter().any(|l| l.id == backend), "the endpoint in the v1 list")?;
            v1.delete_load_balancer(id).map_err(text)?;
            expect(
                scratch.client.load_balancer(id).is_err_and(|e| e.class() == Class::Absent),
                "no load balancer in v2 after its deletion by v1",
            )
        },
    },
    Case {
        name: "settings that are not JSON are rejected",
        applies: |f| f.v2,
        run: |hcn| {
            let settings = "{".into();
            let call = Call::Create { kind: Kind::LoadBalancer, network: None, id: Guid::new_v4(), settings };
            fails(hcn.call(&call), &[Hresult::HCN_E_INVALID_JSON])
        },
    },
];
