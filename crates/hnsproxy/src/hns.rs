//! Opens the HNS that was asked for, and knows of it what no native call tells: the node's name and addresses, and what was counted.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hcn::{Client, Counting, Counts, Generation, Hcn};
use hcn_emulator::control::{Control, ControlError};
use hcn_emulator::remote::Remote;
use hcn_emulator::{Emulator, Host as HostDocument};
use serde_json::json;

use crate::cli::{HnsApi, HnsArgs, HnsChoice};

/// Why HNS could not be opened, or its state not be saved.
#[derive(Debug, thiserror::Error)]
pub enum HnsError {
    /// Not part of this build.
    #[error(
        "--hns windows is for Windows only; elsewhere there is --hns emulated[:HOST.json] and --hns tcp://HOST:PORT"
    )]
    NotWindows,
    /// A host document can't be read.
    #[error("{} can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A host document is none.
    #[error("{} is not a host document: {reason}", path.display())]
    NoHost {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        reason: String,
    },
    /// A host document can't be written.
    #[error("{} can't be written", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The service of an emulator can't be asked.
    #[error("the emulator at {address} can't be asked")]
    Service {
        /// Where it should be.
        address: String,
        /// What happened.
        #[source]
        source: ControlError,
    },
    /// Only an emulator can be saved.
    #[error("--save-hns is for emulated HNS; what Windows holds is not a file's to keep")]
    NotEmulated,
}

/// Where HNS is.
enum Place {
    /// In this process.
    Emulated { emulator: Arc<Emulator>, facts: HostDocument },
    /// In the service of an emulator.
    Service { control: Control, facts: HostDocument },
    /// On this Windows host.
    #[cfg_attr(not(windows), allow(dead_code, reason = "other systems have no HNS"))]
    Windows,
}

/// An open HNS.
pub struct Hns {
    hcn: Arc<Counting<Box<dyn Hcn>>>,
    place: Place,
    api: HnsApi,
}

impl Hns {
    /// Opens what was asked for.
    ///
    /// # Errors
    /// Where this build does not have it, the host document is bad, or the service can't be asked.
    pub fn open(args: &HnsArgs) -> Result<Self, HnsError> {
        let (hcn, place): (Box<dyn Hcn>, _) = match &args.hns {
            HnsChoice::Emulated(path) => {
                let (facts, emulator) = emulator(path.as_deref())?;
                (Box::new(emulator.clone()), Place::Emulated { emulator, facts })
            }
            HnsChoice::Tcp(address) => {
                let control = Control::connect_lazily(address.clone());
                let facts = control.host().map_err(|source| HnsError::Service { address: address.clone(), source })?;
                (Box::new(Remote::connect_lazily(address.clone())), Place::Service { control, facts })
            }
            HnsChoice::Windows => (windows()?, Place::Windows),
        };
        Ok(Self { hcn: Arc::new(Counting::new(hcn)), place, api: args.hns_api })
    }

    /// The interface of native calls.
    pub fn hcn(&self) -> Arc<dyn Hcn> {
        self.hcn.clone()
    }

    /// A client of a generation.
    pub fn client(&self, generation: Generation) -> Client {
        Client::new(self.hcn(), generation)
    }

    /// Which generation was asked for.
    pub fn api(&self) -> HnsApi {
        self.api
    }

    /// What this is, for every output: nobody should take an emulator for the real thing.
    pub fn describe(&self) -> String {
        let hns = match self.facts() {
            Some(facts) => format!("emulated HNS {}", facts.hns_version),
            None => "HNS of this host".to_owned(),
        };
        format!("hnsproxy {}, {hns}", env!("CARGO_PKG_VERSION"))
    }

    fn facts(&self) -> Option<&HostDocument> {
        match &self.place {
            Place::Emulated { facts, .. } | Place::Service { facts, .. } => Some(facts),
            Place::Windows => None,
        }
    }

    /// The name of the node, where an emulated host says so.
    pub fn node_name(&self) -> Option<String> {
        self.facts().map(|facts| facts.node.clone()).filter(|name| !name.is_empty())
    }

    /// The addresses of the node, where an emulated host says so.
    pub fn node_ips(&self) -> Vec<IpAddr> {
        self.facts().map(|facts| facts.node_ips.clone()).unwrap_or_default()
    }

    /// The MAC address of the node's adapter, where an emulated host says so.
    pub fn node_mac(&self) -> Option<String> {
        self.facts().and_then(|facts| facts.host_mac.clone())
    }

    /// The names of the networks that an emulated host had at the start.
    pub fn networks(&self) -> Vec<String> {
        let objects = self.facts().map(|facts| facts.objects.as_slice()).unwrap_or_default();
        let is_network =
            |object: &&serde_json::Value| object.get("_kind").and_then(|kind| kind.as_str()) == Some("Network");
        let name = |object: &serde_json::Value| object.get("Name")?.as_str().map(str::to_owned);
        objects.iter().filter(is_network).filter_map(name).collect()
    }

    /// How many native calls this process made.
    pub fn counts(&self) -> Counts {
        self.hcn.counts()
    }

    /// Writes what an emulated HNS holds now to a file that [`open`](Self::open) reads.
    ///
    /// # Errors
    /// Where HNS is not emulated, its service can't be asked, or the file can't be written.
    pub fn save(&self, path: &Path) -> Result<(), HnsError> {
        let document = match &self.place {
            Place::Emulated { emulator, facts } => emulator.to_host(facts),
            Place::Service { control, .. } => {
                control.host().map_err(|source| HnsError::Service { address: "--hns".into(), source })?
            }
            Place::Windows => return Err(HnsError::NotEmulated),
        };
        let unwritable = |source| HnsError::Unwritable { path: path.to_owned(), source };
        let text = serde_json::to_string_pretty(&document).map_err(|error| unwritable(error.into()))?;
        std::fs::write(path, text + "\n").map_err(unwritable)
    }
}

#[cfg(windows)]
fn windows() -> Result<Box<dyn Hcn>, HnsError> {
    Ok(Box::new(hcn::Windows::with_remarks(|function, record| {
        tracing::warn!(function, code = record.error_code, "HNS succeeded with an error record: {}", record.error);
    })))
}

#[cfg(not(windows))]
fn windows() -> Result<Box<dyn Hcn>, HnsError> {
    Err(HnsError::NotWindows)
}

/// An emulator with what a host document says, or on a bare host.
///
/// # Errors
/// Where the document can't be read or is none.
pub fn emulator(path: Option<&Path>) -> Result<(HostDocument, Arc<Emulator>), HnsError> {
    let shown = path.unwrap_or(Path::new("the bare host"));
    let document = path.map_or_else(bare_host, read)?;
    let no_host =
        |error: hcn_emulator::HostError| HnsError::NoHost { path: shown.to_owned(), reason: error.to_string() };
    let emulator = Emulator::from_host(&document).map_err(no_host)?;
    Ok((document, Arc::new(emulator)))
}

fn read(path: &Path) -> Result<HostDocument, HnsError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| HnsError::Unreadable { path: path.to_owned(), source })?;
    let no_host = |reason: serde_json::Error| HnsError::NoHost { path: path.to_owned(), reason: reason.to_string() };
    serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(&text)).map_err(no_host)
}

/// A host without pods, for a first look: one L2Bridge network, and documentation addresses.
fn bare_host() -> Result<HostDocument, HnsError> {
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
