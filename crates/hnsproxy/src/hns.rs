//! Opens the HNS that was asked for, and knows of it what no native call tells: the node's name and addresses, and what was counted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hcn::{Client, Generation, Hcn};
use hcn_emulator::{Emulator, Host as HostDocument};
use serde_json::json;

use crate::cli::{HnsApi, HnsArgs, HnsChoice};

/// Why HNS could not be opened, or its state not be saved.
#[derive(Debug, thiserror::Error)]
pub enum HnsError {
    /// Not part of this build.
    #[error("--hns {choice} is not in this build; it has --hns emulated[:HOST.json]")]
    NotBuilt {
        /// What was asked for.
        choice: String,
    },
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
}

/// An open HNS.
pub struct Hns {
    emulator: Arc<Emulator>,
    document: HostDocument,
    api: HnsApi,
}

impl Hns {
    /// Opens what was asked for.
    ///
    /// # Errors
    /// Where this build does not have it, or the host document is bad.
    pub fn open(args: &HnsArgs) -> Result<Self, HnsError> {
        let document = match &args.hns {
            HnsChoice::Emulated(Some(path)) => read(path)?,
            HnsChoice::Emulated(None) => bare_host()?,
            HnsChoice::Windows => return Err(HnsError::NotBuilt { choice: "windows".into() }),
            HnsChoice::Tcp(address) => return Err(HnsError::NotBuilt { choice: format!("tcp://{address}") }),
        };
        let path = || match &args.hns {
            HnsChoice::Emulated(Some(path)) => path.clone(),
            _ => PathBuf::from("emulated"),
        };
        let emulator = Emulator::from_host(&document)
            .map_err(|error| HnsError::NoHost { path: path(), reason: error.to_string() })?;
        Ok(Self { emulator: Arc::new(emulator), document, api: args.hns_api })
    }

    /// The interface of native calls.
    pub fn hcn(&self) -> Arc<dyn Hcn> {
        self.emulator.clone()
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
        format!("hnsproxy {}, emulated HNS {}", env!("CARGO_PKG_VERSION"), self.document.hns_version)
    }

    /// The name of the node, where the host says so.
    pub fn node_name(&self) -> Option<String> {
        Some(self.document.node.clone()).filter(|name| !name.is_empty())
    }

    /// What the host knows of itself.
    pub fn host(&self) -> proxy::Host {
        proxy::Host { node_ips: self.document.node_ips.clone(), mac: self.document.host_mac.clone() }
    }

    /// The names of the networks that the host had at the start.
    pub fn networks(&self) -> Vec<String> {
        let is_network =
            |object: &&serde_json::Value| object.get("_kind").and_then(|kind| kind.as_str()) == Some("Network");
        let name = |object: &serde_json::Value| object.get("Name")?.as_str().map(str::to_owned);
        self.document.objects.iter().filter(is_network).filter_map(name).collect()
    }

    /// How many native calls were made, and how many of these were writes.
    pub fn counts(&self) -> (u64, u64) {
        (self.emulator.native_calls(), self.emulator.writes())
    }

    /// Writes what HNS holds now to a file that [`open`](Self::open) reads.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub fn save(&self, path: &Path) -> Result<(), HnsError> {
        let unwritable = |source| HnsError::Unwritable { path: path.to_owned(), source };
        let document = self.emulator.to_host(&self.document);
        let text = serde_json::to_string_pretty(&document).map_err(|error| unwritable(error.into()))?;
        std::fs::write(path, text + "\n").map_err(unwritable)
    }
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
