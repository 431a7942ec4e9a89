//! Emulated HNS: in this process, or in an emulator service.

use std::path::Path;
use std::sync::Arc;

use hcn::{Hcn, Kind};
use hcn_emulator::control::Control;
use hcn_emulator::remote::Remote;
use hcn_emulator::{Emulator, Host};
use serde_json::json;

use super::dump::{self, ASSUMED_VERSION, Content, Dump};
use super::{Facts, HnsError};

pub(super) enum Emulated {
    InProcess { emulator: Arc<Emulator>, host: Host },
    Service { control: Control, address: String },
}

/// An emulator in this process, with the objects of a host document or dump if one is given.
pub(super) fn in_process(path: Option<&Path>) -> Result<(Box<dyn Hcn>, Facts, Emulated), HnsError> {
    let (host, emulator) = emulator(path)?;
    let facts = facts(&host);
    Ok((Box::new(emulator.clone()), facts, Emulated::InProcess { emulator, host }))
}

/// An emulator service at `HOST:PORT`.
pub(super) fn service(address: &str) -> Result<(Box<dyn Hcn>, Facts, Emulated), HnsError> {
    let control = Control::connect_lazily(address);
    let unreachable = |source| HnsError::Service { address: address.to_owned(), source };
    // Not the whole host document: an emulated HNS can have more objects than this process should have memory for.
    let host = control.facts().map_err(unreachable)?;
    let facts = facts(&host);
    let emulated = Emulated::Service { control, address: address.to_owned() };
    Ok((Box::new(Remote::connect_lazily(address)), facts, emulated))
}

impl Emulated {
    /// The present state, as a document that [`in_process`] reads.
    pub(super) fn document(&self) -> Result<Host, HnsError> {
        match self {
            Self::InProcess { emulator, host } => Ok(emulator.to_host(host)),
            Self::Service { control, address } => {
                control.host().map_err(|source| HnsError::Service { address: address.clone(), source })
            }
        }
    }
}

fn facts(host: &Host) -> Facts {
    Facts {
        version: host.hns_version.clone(),
        node: host.node.clone(),
        node_ips: host.node_ips.clone(),
        mac: host.host_mac.clone(),
    }
}

/// An emulator with the objects of a host document or of a dump, or with those of a bare host.
///
/// # Errors
/// If the document or dump cannot be read or is invalid.
pub fn emulator(path: Option<&Path>) -> Result<(Host, Arc<Emulator>), HnsError> {
    let content = path.map_or_else(|| bare_host().map(Content::Host), dump::read)?;
    emulator_with(path.unwrap_or(Path::new("the bare host")), content)
}

/// As [`emulator`], with the text of a file.
///
/// # Errors
/// As [`emulator`].
#[cfg(feature = "fuzzing")]
pub fn emulator_of_text(path: &Path, text: &str) -> Result<(Host, Arc<Emulator>), HnsError> {
    emulator_with(path, dump::of_text(path, text)?)
}

fn emulator_with(path: &Path, content: Content) -> Result<(Host, Arc<Emulator>), HnsError> {
    let invalid =
        |error: hcn_emulator::HostError| HnsError::InvalidHost { path: path.to_owned(), reason: error.to_string() };
    let Dump { host, objects, version_is_assumed, left_out } = match content {
        Content::Host(host) => {
            let emulator = Emulator::from_host(&host).map_err(invalid)?;
            return Ok((host, Arc::new(emulator)));
        }
        Content::Dump(dump) => dump,
    };
    left_out.iter().for_each(|one| tracing::warn!("dump of HNS: {one}; leaving it out"));
    if version_is_assumed {
        tracing::warn!(version = host.hns_version, "no object of the dump has the version of HNS, assuming one");
    }
    let emulator = Emulator::from_host(&host).map_err(invalid)?;
    let of = |kind: Kind| objects.iter().filter(|(of, _)| *of == kind).count();
    tracing::info!(
        networks = of(Kind::Network),
        endpoints = of(Kind::Endpoint),
        load_balancers = of(Kind::LoadBalancer),
        version = host.hns_version,
        "read a dump of HNS"
    );
    // Added without checks: HNS has these objects, whatever the emulator would say to their creation.
    for (kind, document) in objects {
        emulator.add(kind, document);
    }
    Ok((host, Arc::new(emulator)))
}

/// A host without pods, to try hnsproxy with: one L2Bridge network, and addresses that are reserved for documentation.
fn bare_host() -> Result<Host, HnsError> {
    let document = json!({
        "hnsVersion": ASSUMED_VERSION.to_string(),
        "node": "",
        "nodeIPs": ["192.0.2.1", "2001:db8::1"],
        "objects": [{
            "_kind": "Network", "ID": "00000000-0000-4000-8000-000000000001", "Name": "cbr0", "Type": "L2Bridge",
            "Ipams": [{"Type": "Static", "Subnets": [{"IpAddressPrefix": "10.244.0.0/24"}]}],
            "SchemaVersion": {"Major": 2, "Minor": 0},
        }],
    });
    serde_json::from_value(document)
        .map_err(|error| HnsError::InvalidHost { path: "emulated".into(), reason: error.to_string() })
}
