//! An emulator with the calls of a client, for the tests of rules.

use hcn::call::{Call, Handle, Method, Reply};
use hcn::{Error, Guid, Hcn, Hresult, Kind};
use hcn_emulator::Emulator;
use serde_json::{Value, json};

/// An emulator with an overlay network 10.244.1.0/24, with the calls of a client.
pub(crate) struct Rig {
    pub(crate) emulator: Emulator,
    pub(crate) network: Guid,
}

pub(crate) type Answer<T> = Result<T, Hresult>;

pub(crate) fn code<T>(result: Result<T, Error>) -> Answer<T> {
    result.map_err(|error| error.code().unwrap())
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::of("latest")
    }

    /// With a build.
    pub(crate) fn of(build: &str) -> Self {
        let mut rig = Self { emulator: Emulator::new(build.parse().unwrap()), network: Guid::nil() };
        // HNS before 9.2 lacks the HCN functions.
        let subnet = json!({"AddressPrefix": "10.244.1.0/24", "GatewayAddress": "10.244.1.1"});
        let network = json!({"Name": "overlay", "Type": "Overlay", "Subnets": [subnet]});
        rig.network = parse(&rig.hns(Method::Post, "/networks/", &network).unwrap());
        rig
    }

    pub(crate) fn network(&self, name: &str, prefix: &str, gateway: &str) -> Answer<Guid> {
        self.create(
            Kind::Network,
            json!({"Name": name, "Type": "Overlay", "Ipams": [{"Type": "Static", "Subnets": [{"IpAddressPrefix": prefix,
                   "Routes": [{"NextHop": gateway, "DestinationPrefix": "0.0.0.0/0"}]}]}]}),
        )
    }

    pub(crate) fn call(&self, call: &Call) -> Answer<Reply> {
        code(self.emulator.call(call))
    }

    pub(crate) fn handle(&self, call: &Call) -> Answer<Handle> {
        match self.call(call)? {
            Reply::Handle(handle) => Ok(handle),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn open(&self, kind: Kind, id: Guid) -> Answer<Handle> {
        self.handle(&Call::Open { kind, id })
    }

    pub(crate) fn create(&self, kind: Kind, mut document: Value) -> Answer<Guid> {
        document["SchemaVersion"] = json!({"Major": 2, "Minor": 0});
        let network = (kind == Kind::Endpoint).then(|| self.open(Kind::Network, self.network)).transpose()?;
        let handle = self.handle(&Call::Create { kind, network, id: Guid::nil(), settings: document.to_string() })?;
        let query = json!({"SchemaVersion": {"Major": 2, "Minor": 0}}).to_string();
        let Reply::Document(text) = self.call(&Call::Query { kind, handle, query })? else { panic!() };
        let document: Value = serde_json::from_str(&text).unwrap();
        Ok(document["ID"].as_str().unwrap().parse().unwrap())
    }

    pub(crate) fn modify(&self, kind: Kind, id: Guid, settings: &Value) -> Answer<()> {
        let handle = self.open(kind, id)?;
        self.call(&Call::Modify { kind, handle, settings: settings.to_string() }).map(drop)
    }

    pub(crate) fn delete(&self, kind: Kind, id: Guid) -> Answer<()> {
        self.call(&Call::Delete { kind, id }).map(drop)
    }

    pub(crate) fn remote(&self, address: &str) -> Guid {
        self.create(
            Kind::Endpoint,
            json!({"IpConfigurations": [{"IpAddress": address}], "MacAddress": "02-11-0a-f4-02-07", "Flags": 1}),
        )
        .unwrap()
    }

    pub(crate) fn balance(&self, vips: &[&str], port: u16, backends: &[Guid]) -> Answer<Guid> {
        self.create(
            Kind::LoadBalancer,
            json!({"HostComputeEndpoints": backends, "FrontendVIPs": vips,
                   "PortMappings": [{"Protocol": 6, "InternalPort": 8080, "ExternalPort": port}]}),
        )
    }

    pub(crate) fn hns(&self, method: Method, path: &str, body: &Value) -> Answer<Value> {
        let Reply::Document(text) = self.call(&Call::Hns { method, path: path.into(), body: body.to_string() })? else {
            panic!()
        };
        let envelope: Value = serde_json::from_str(&text).unwrap();
        Ok(if envelope["Success"] == json!(true) { envelope["Output"].clone() } else { envelope })
    }

    pub(crate) fn ids(&self, kind: Kind, filter: &Value) -> Vec<Guid> {
        let query = json!({"SchemaVersion": {"Major": 2, "Minor": 0}, "Filter": filter.to_string()}).to_string();
        let Ok(Reply::Document(text)) = self.call(&Call::Enumerate { kind, query }) else { panic!() };
        serde_json::from_str(&text).unwrap()
    }

    /// A document as the HCN API returns it.
    pub(crate) fn query(&self, kind: Kind, id: Guid) -> Value {
        let handle = self.open(kind, id).unwrap();
        let query = json!({"SchemaVersion": {"Major": 2, "Minor": 0}}).to_string();
        let Ok(Reply::Document(text)) = self.call(&Call::Query { kind, handle, query }) else { panic!() };
        serde_json::from_str(&text).unwrap()
    }

    /// A document as HNS stores it, without what HNS adds to its answers.
    pub(crate) fn get(&self, kind: Kind, id: Guid) -> Value {
        self.emulator.document(kind, id).unwrap()
    }

    pub(crate) fn is_there(&self, kind: Kind, id: Guid) -> bool {
        self.emulator.document(kind, id).is_some()
    }
}

pub(crate) fn parse(output: &Value) -> Guid {
    output["ID"].as_str().unwrap().parse().unwrap()
}
