//! Creates or deletes the networks and endpoints of a host document: `host make|remove HOST.json [HOST:PORT]`.
//!
//! Uses the HNS of this system, or the service of an emulator. Its purpose is to run recordings on a real HNS. The endpoints have no pods.
//!
//! Exit code 1 if an object could not be created. Objects created before stay; `remove` deletes them.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod system;

use std::net::IpAddr;
use std::process::ExitCode;

use hcn::call::{Call, Handle, Reply};
use hcn::{Class, Error, Guid, Hcn, Kind};
use hcn_emulator::Host;
use ipnet::IpNet;
use serde_json::{Value, json};

fn create(hcn: &dyn Hcn, kind: Kind, network: Option<Handle>, id: Guid, object: &Value) -> Result<(), Error> {
    let mut document = object.clone();
    if let Value::Object(members) = &mut document {
        members.shift_remove("_kind");
    }
    match hcn.call(&Call::Create { kind, network, id, settings: document.to_string() })? {
        Reply::Handle(handle) => hcn.call(&Call::Close { kind, handle }).map(drop),
        _ => Ok(()),
    }
}

fn make(hcn: &dyn Hcn, kind: Kind, id: Guid, object: &Value) -> Result<(), Error> {
    if kind == Kind::Network {
        return create(hcn, kind, None, id, object);
    }
    let network = object.get("HostComputeNetwork").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let open = Call::Open { kind: Kind::Network, id: network.unwrap_or_default() };
    let Reply::Handle(network) = hcn.call(&open)? else { return Ok(()) };
    let result = create(hcn, kind, Some(network), id, object);
    hcn.call(&Call::Close { kind: Kind::Network, handle: network })?;
    result
}

fn remove(hcn: &dyn Hcn, kind: Kind, id: Guid) -> Result<(), Error> {
    match hcn.call(&Call::Delete { kind, id }) {
        Err(error) if error.class() != Class::Absent => Err(error),
        _ => Ok(()),
    }
}

/// The objects, with a subnet in each network for every address of its endpoints, since recordings leave out subnets.
fn with_subnets(host: &Host) -> Vec<Value> {
    let mut objects = host.objects.clone();
    for network in &mut objects {
        let Some(subnets) = network.pointer_mut("/Ipams/0/Subnets").and_then(Value::as_array_mut) else { continue };
        for configuration in
            host.objects.iter().filter_map(|object| object.get("IpConfigurations")?.as_array()).flatten()
        {
            let ip = configuration.get("IpAddress").and_then(Value::as_str).and_then(|ip| ip.parse::<IpAddr>().ok());
            let length = configuration.get("PrefixLength").and_then(Value::as_u64).and_then(|n| u8::try_from(n).ok());
            let Some(net) = ip.zip(length).and_then(|(ip, length)| IpNet::new(ip, length).ok()) else { continue };
            let prefix = |subnet: &Value| subnet.get("IpAddressPrefix").and_then(Value::as_str)?.parse::<IpNet>().ok();
            if !subnets.iter().filter_map(prefix).any(|subnet| subnet.contains(&net.addr())) {
                let anywhere = if net.addr().is_ipv4() { "0.0.0.0/0" } else { "::/0" };
                let gateway = net.hosts().next();
                subnets.push(json!({
                    "IpAddressPrefix": net.trunc().to_string(),
                    "Routes": [{"NextHop": gateway.map(|ip| ip.to_string()), "DestinationPrefix": anywhere}],
                }));
            }
        }
    }
    objects
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (what, file, address) = match arguments.as_slice() {
        [what, file] => (what.as_str(), file, None),
        [what, file, address] => (what.as_str(), file, Some(address.clone())),
        _ => return Err("usage: host make|remove HOST.json [HOST:PORT]".into()),
    };
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let host: Host = serde_json::from_str(&text).map_err(|error| format!("{file}: {error}"))?;
    let hcn = system::hns(address)?;
    let work: fn(&dyn Hcn, Kind, Guid, &Value) -> Result<(), Error> = match what {
        "make" => make,
        "remove" => |hcn, kind, id, _| remove(hcn, kind, id),
        other => return Err(format!("unknown command {other} (known: make, remove)")),
    };
    // Endpoints need their network. HNS deletes the endpoints and load balancers of a network with it.
    for (name, kind) in [("Network", Kind::Network), ("Endpoint", Kind::Endpoint)] {
        let text = |object: &Value, member: &str| object.get(member).and_then(Value::as_str).map(str::to_owned);
        for object in with_subnets(&host).iter().filter(|object| text(object, "_kind").as_deref() == Some(name)) {
            let id = text(object, "ID").unwrap_or_default();
            let guid = id.parse().map_err(|_| format!("{name} {id:?}: invalid id"))?;
            work(&*hcn, kind, guid, object).map_err(|error| format!("{name} {id}: {error}"))?;
            println!("{what} {name} {id} {}", text(object, "Name").unwrap_or_default());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
