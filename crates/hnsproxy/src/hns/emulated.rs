//! HNS emulated: in this process, or in the service of an emulator.

use std::path::Path;
use std::sync::Arc;

use hcn::{Hcn, Kind};
use hcn_emulator::control::Control;
use hcn_emulator::remote::Remote;
use hcn_emulator::{Emulator, Host};
use serde_json::{Value, json};

use super::{Facts, HnsError};

/// Where an emulator is.
pub(super) enum Emulated {
    /// In this process.
    Here { emulator: Arc<Emulator>, host: Host },
    /// In a service.
    There { control: Control, address: String },
}

/// An emulator in this process, on a host's objects if a file is given.
pub(super) fn here(path: Option<&Path>) -> Result<(Box<dyn Hcn>, Facts, Emulated), HnsError> {
    let (host, emulator) = emulator(path)?;
    let facts = facts(&host, &emulator.documents(Kind::Network));
    Ok((Box::new(emulator.clone()), facts, Emulated::Here { emulator, host }))
}

/// The service of an emulator.
pub(super) fn there(address: &str) -> Result<(Box<dyn Hcn>, Facts, Emulated), HnsError> {
    let control = Control::connect_lazily(address);
    let no_service = |source| HnsError::Service { address: address.to_owned(), source };
    // Not the whole host: there may be far more in HNS than this process needs memory for.
    let host = control.facts().map_err(no_service)?;
    let facts = facts(&host, &control.documents(Kind::Network).map_err(no_service)?);
    let emulated = Emulated::There { control, address: address.to_owned() };
    Ok((Box::new(Remote::connect_lazily(address)), facts, emulated))
}

impl Emulated {
    /// What it holds now, as [`here`] reads it.
    pub(super) fn document(&self) -> Result<Host, HnsError> {
        match self {
            Self::Here { emulator, host } => Ok(emulator.to_host(host)),
            Self::There { control, address } => {
                control.host().map_err(|source| HnsError::Service { address: address.clone(), source })
            }
        }
    }
}

fn facts(host: &Host, networks: &[Value]) -> Facts {
    let name = |network: &Value| network.get("Name")?.as_str().map(str::to_owned);
    Facts {
        version: host.hns_version.clone(),
        node: host.node.clone(),
        node_ips: host.node_ips.clone(),
        mac: host.host_mac.clone(),
        networks: networks.iter().filter_map(name).collect(),
    }
}

/// An emulator with what a host document says, or on a bare host.
///
/// # Errors
/// Where the document can't be read or is none.
pub fn emulator(path: Option<&Path>) -> Result<(Host, Arc<Emulator>), HnsError> {
    let shown = path.unwrap_or(Path::new("the bare host"));
    let document = path.map_or_else(bare_host, read)?;
    let no_host =
        |error: hcn_emulator::HostError| HnsError::NoHost { path: shown.to_owned(), reason: error.to_string() };
    let emulator = Emulator::from_host(&document).map_err(no_host)?;
    Ok((document, Arc::new(emulator)))
}

fn read(path: &Path) -> Result<Host, HnsError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| HnsError::Unreadable { path: path.to_owned(), source })?;
    let no_host = |reason: serde_json::Error| HnsError::NoHost { path: path.to_owned(), reason: reason.to_string() };
    serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(&text)).map_err(no_host)
}

/// A host without pods, for a first look: one L2Bridge network, and documentation addresses.
fn bare_host() -> Result<Host, HnsError> {
    let document = json!({
        "hnsVersion": "15.5",
        "node": "",
        "nodeIPs": ["192.0.2.1", "2001:db8::1"],
        "objects": [{
            "_kind": "Network", "ID": "00000000-0000-4000-8000-000000000001", "Name": "cbr0", "Type": "L2Bridge",
            "Ipams": [{"Type": "Static", "Subnets": [{"IpAddressPrefix": "10.244.0.0/24"}]}],
            "SchemaVersion": {"Major": 2, "Minor": 0},
        }],
    });
    serde_json::from_value(document)
        .map_err(|error| HnsError::NoHost { path: "emulated".into(), reason: error.to_string() })
}
