//! Checks of what CNI plugins and container tools do: documents in either schema, addresses, namespaces, attachment and policies.

use hcn::call::{Call, Handle, Method, Reply};
use hcn::schema::Query;
use hcn::{Class, Error, Guid, Hcn, Kind};
use hcn_survey::{Answer, Check};
use serde_json::{Value, json};

use super::scratch::Scratch;
use super::{Case, Question, close, expect, text};

/// Creates a local endpoint with these settings only.
pub(super) fn local(scratch: &Scratch, settings: &Value) -> Result<Guid, String> {
    try_local(scratch, settings)?.map_err(text)
}

/// As [`local`]. The inner error is that of `HcnCreateEndpoint`.
pub(super) fn try_local(scratch: &Scratch, settings: &Value) -> Result<Result<Guid, Error>, String> {
    let network = open(scratch, Kind::Network, scratch.network)?;
    let id = Guid::new_v4();
    let mut settings = settings.clone();
    if let Value::Object(members) = &mut settings {
        members.insert("SchemaVersion".into(), json!({"Major": 2, "Minor": 0}));
        members.insert("HostComputeNetwork".into(), json!(scratch.network));
    }
    let call = Call::Create { kind: Kind::Endpoint, network: Some(network), id, settings: settings.to_string() };
    let made = scratch.hcn.call(&call);
    let _ = scratch.hcn.call(&Call::Close { kind: Kind::Network, handle: network });
    close(&scratch.hcn, Kind::Endpoint, &made);
    Ok(made.map(|_| id))
}

fn open(scratch: &Scratch, kind: Kind, id: Guid) -> Result<Handle, String> {
    match scratch.hcn.call(&Call::Open { kind, id }).map_err(text)? {
        Reply::Handle(handle) => Ok(handle),
        other => Err(format!("unexpected reply of HcnOpen: {other:?}")),
    }
}

/// The document of an object by a v2 query.
fn show(scratch: &Scratch, kind: Kind, id: Guid) -> Result<Value, String> {
    let handle = open(scratch, kind, id)?;
    let reply = scratch.hcn.call(&Call::Query { kind, handle, query: Query::all().to_json() });
    let _ = scratch.hcn.call(&Call::Close { kind, handle });
    let Reply::Document(document) = reply.map_err(text)? else { return Err("no document".into()) };
    serde_json::from_str(&document).map_err(|error| error.to_string())
}

fn modify(scratch: &Scratch, kind: Kind, id: Guid, request: &Value) -> Result<(), String> {
    let handle = open(scratch, kind, id)?;
    let done = scratch.hcn.call(&Call::Modify { kind, handle, settings: request.to_string() });
    let _ = scratch.hcn.call(&Call::Close { kind, handle });
    done.map(drop).map_err(text)
}

/// The output of a successful `HNSCall`.
fn hns(scratch: &Scratch, method: Method, path: &str, body: &Value) -> Result<Value, String> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let call = Call::Hns { method, path: path.into(), body };
    let Reply::Document(reply) = scratch.hcn.call(&call).map_err(text)? else { return Err("no document".into()) };
    let reply: Value = serde_json::from_str(&reply).map_err(|error| error.to_string())?;
    expect(reply.get("Success") == Some(&true.into()), "the envelope says success")?;
    Ok(reply.get("Output").cloned().unwrap_or_default())
}

fn policies<'a>(document: &'a Value, kind: &str) -> Vec<&'a Value> {
    let list = document.get("Policies").and_then(Value::as_array).into_iter().flatten();
    list.filter(|policy| policy.get("Type").and_then(Value::as_str) == Some(kind)).collect()
}

fn mapping() -> Value {
    let settings = json!({"Protocol": 17, "InternalPort": 56788, "ExternalPort": 56789});
    json!({"Policies": [{"Type": "PortMapping", "Settings": settings}]})
}

pub(super) const CASES: &[Case] = &[
    Case {
        check: Check::ChosenAddress,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let scratch = Scratch::new(hcn)?;
            let endpoint = scratch.client.endpoint(local(&scratch, &json!({}))?).map_err(text)?;
            let inside = |address: std::net::IpAddr| address.to_string().starts_with("192.168.214.");
            expect(endpoint.addresses().next().is_some_and(inside), "an address of the subnet")?;
            expect(!endpoint.mac_address.is_empty() && !endpoint.is_remote(), "a MAC address")
        }),
    },
    Case {
        check: Check::V1Schema,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let subnet = json!({"AddressPrefix": "192.168.215.0/24", "GatewayAddress": "192.168.215.1"});
            let scratch = Scratch::with(hcn, json!({"Type": "nat", "Subnets": [subnet]}))?;
            let network = show(&scratch, Kind::Network, scratch.network)?;
            let prefix = network.pointer("/Ipams/0/Subnets/0/IpAddressPrefix");
            expect(prefix == Some(&json!("192.168.215.0/24")), "the subnet in Ipams")
        }),
    },
    Case {
        check: Check::Namespace,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let scratch = Scratch::new(hcn)?;
            let endpoint = local(&scratch, &json!({}))?;
            let namespace = Guid::new_v4();
            let settings = json!({"Type": "Host", "SchemaVersion": {"Major": 2, "Minor": 0}}).to_string();
            let create = Call::Create { kind: Kind::Namespace, network: None, id: namespace, settings };
            let made = hcn.call(&create);
            close(hcn, Kind::Namespace, &made);
            made.map_err(text)?;
            let change = |verb: &str| {
                let settings = json!({"EndpointId": endpoint});
                let request = json!({"ResourceType": "Endpoint", "RequestType": verb, "Settings": settings});
                modify(&scratch, Kind::Namespace, namespace, &request)?;
                let listed = show(&scratch, Kind::Namespace, namespace)?;
                let resources = listed.get("Resources").and_then(Value::as_array).cloned().unwrap_or_default();
                let same = |resource: &&Value| {
                    let id = resource.pointer("/Data/Id").and_then(Value::as_str).and_then(|id| id.parse().ok());
                    resource.get("Type") == Some(&json!("Endpoint")) && id == Some(endpoint)
                };
                Ok::<_, String>(resources.iter().filter(same).count())
            };
            let counts = change("Add").and_then(|added| Ok((added, change("Remove")?)));
            hcn.call(&Call::Delete { kind: Kind::Namespace, id: namespace }).map_err(text)?;
            expect(counts? == (1, 0), "one endpoint after it was added, and none after it was removed")?;
            let gone = hcn.call(&Call::Open { kind: Kind::Namespace, id: namespace });
            expect(gone.is_err_and(|error| error.class() == Class::Absent), "no namespace after deletion")
        }),
    },
    Case {
        check: Check::EndpointPolicies,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let scratch = Scratch::new(hcn)?;
            let endpoint = local(&scratch, &json!({}))?;
            let update = |ports: &[&str]| {
                let acl = |port: &&str| {
                    json!({"Type": "ACL", "Settings": {"Protocols": "6", "Action": "Block", "Direction": "Out",
                           "RemotePorts": port, "RuleType": "Switch", "Priority": 200}})
                };
                let settings = json!({"Policies": ports.iter().map(acl).collect::<Vec<_>>()});
                let request = json!({"ResourceType": "Policy", "RequestType": "Update", "Settings": settings});
                modify(&scratch, Kind::Endpoint, endpoint, &request)?;
                Ok::<_, String>(policies(&show(&scratch, Kind::Endpoint, endpoint)?, "ACL").len())
            };
            expect((update(&["80", "81"])?, update(&["82"])?) == (2, 1), "only the last rules")
        }),
    },
    Case {
        check: Check::MappedPort,
        applies: |f| f.v2,
        question: Question::Answer(|hcn| {
            let scratch = Scratch::new(hcn)?;
            local(&scratch, &mapping())?;
            Ok(Answer::from(try_local(&scratch, &mapping())?))
        }),
    },
    Case {
        check: Check::RemoteSubnet,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let scratch = Scratch::overlay(hcn)?;
            let route = json!({"Type": "RemoteSubnetRoute", "Settings": {
                "DestinationPrefix": "192.168.216.0/24", "IsolationId": 5000, "ProviderAddress": "192.0.2.9",
                "DistributedRouterMacAddress": "00-15-5D-E7-B1-01"}});
            let change = |verb: &str| {
                let settings = json!({"Policies": [route]});
                let request = json!({"ResourceType": "Policy", "RequestType": verb, "Settings": settings});
                modify(&scratch, Kind::Network, scratch.network, &request)?;
                Ok::<_, String>(policies(&show(&scratch, Kind::Network, scratch.network)?, "RemoteSubnetRoute").len())
            };
            expect(
                (change("Add")?, change("Remove")?) == (1, 0),
                "one route after it was added, and none after it was removed",
            )
        }),
    },
    Case {
        check: Check::Attachment,
        applies: |f| f.v2,
        question: Question::Behavior(|hcn| {
            let scratch = Scratch::new(hcn)?;
            let body = json!({"Name": "conformance", "VirtualNetwork": scratch.network});
            let made = hns(&scratch, Method::Post, "/endpoints/", &body)?;
            let id = made.get("ID").and_then(Value::as_str).ok_or("expected an id of the new endpoint")?;
            let host = json!({"SystemType": "Host", "CompartmentId": 1});
            hns(&scratch, Method::Post, &format!("/endpoints/{id}/attach"), &host)?;
            let statistics = hns(&scratch, Method::Get, &format!("/endpointstats/{id}"), &Value::Null)?;
            let of = statistics.get("EndpointId").and_then(Value::as_str);
            expect(of.is_some_and(|of| of.eq_ignore_ascii_case(id)), "statistics of this endpoint")?;
            hns(&scratch, Method::Post, &format!("/endpoints/{id}/detach"), &json!({"SystemType": "Host"}))?;
            hns(&scratch, Method::Delete, &format!("/endpoints/{id}"), &Value::Null)?;
            let gone = Call::Hns { method: Method::Get, path: format!("/endpoints/{id}"), body: String::new() };
            expect(hcn.call(&gone).is_err_and(|error| error.class() == Class::Absent), "no endpoint after deletion")
        }),
    },
];
