//! Opens the HNS that was asked for, and knows of it what no native call tells: the node's name and addresses, and what was counted.

mod args;
#[cfg(feature = "emulator")]
mod emulated;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hcn::{Client, Counting, Counts, Generation, Hcn, Metered, MeteredCall, SlowCall, Timed};

pub use args::{HnsApi, HnsArgs, HnsChoice};
#[cfg(feature = "emulator")]
pub use emulated::emulator;

/// Why HNS could not be opened, or its state not be saved.
#[derive(Debug, thiserror::Error)]
pub enum HnsError {
    /// This is another system.
    #[error(
        "--hns windows is for Windows only; elsewhere there is --hns emulated[:HOST.json] and --hns tcp://HOST:PORT"
    )]
    NotWindows,
    /// Not part of this build.
    #[cfg(not(feature = "emulator"))]
    #[error("this build has no emulated HNS, as releases for Windows have none; it programs HNS by --hns windows only")]
    NoEmulator,
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
    #[cfg(feature = "emulator")]
    #[error("the emulator at {address} can't be asked")]
    Service {
        /// Where it should be.
        address: String,
        /// What happened.
        #[source]
        source: hcn_emulator::control::ControlError,
    },
    /// Only an emulator can be saved.
    #[error("--save-hns is for emulated HNS; what Windows holds is not a file's to keep")]
    NotEmulated,
}

/// What an emulated host says of itself.
#[cfg_attr(not(feature = "emulator"), allow(dead_code, reason = "only emulated hosts say so"))]
struct Facts {
    version: String,
    node: String,
    node_ips: Vec<IpAddr>,
    mac: Option<String>,
    networks: Vec<String>,
}

/// An open HNS.
pub struct Hns {
    hcn: Arc<Measured>,
    /// None for that of this Windows host.
    facts: Option<Facts>,
    #[cfg(feature = "emulator")]
    emulated: Option<emulated::Emulated>,
    api: HnsApi,
}

impl Hns {
    /// Opens what was asked for.
    ///
    /// # Errors
    /// Where this build does not have it, the host document is bad, or the service can't be asked.
    #[cfg(feature = "emulator")]
    pub fn open(args: &HnsArgs) -> Result<Arc<Self>, HnsError> {
        let (hcn, facts, emulated) = match &args.hns {
            HnsChoice::Emulated(path) => emulated::here(path.as_deref())?,
            HnsChoice::Tcp(address) => emulated::there(address)?,
            HnsChoice::Windows => {
                let hcn = measured(windows()?, args);
                return Ok(Arc::new(Self { hcn, facts: None, emulated: None, api: args.hns_api }));
            }
        };
        let hcn = measured(hcn, args);
        Ok(Arc::new(Self { hcn, facts: Some(facts), emulated: Some(emulated), api: args.hns_api }))
    }

    /// Opens what was asked for.
    ///
    /// # Errors
    /// Where this build does not have it.
    #[cfg(not(feature = "emulator"))]
    pub fn open(args: &HnsArgs) -> Result<Arc<Self>, HnsError> {
        match args.hns {
            HnsChoice::Windows => {
                Ok(Arc::new(Self { hcn: measured(windows()?, args), facts: None, api: args.hns_api }))
            }
            HnsChoice::Emulated(_) | HnsChoice::Tcp(_) => Err(HnsError::NoEmulator),
        }
    }

    /// Tells, to any thread and as long as it likes, of the call under way that takes longer than it may: the thread that called can't.
    pub fn overdue_calls(&self) -> impl Fn() -> Option<SlowCall> + Send + Sync + use<> {
        let hcn = self.hcn.clone();
        move || hcn.inner().overdue()
    }

    /// Has each native call told from now on.
    pub fn tell_calls(&self, meter: impl Fn(&MeteredCall) + Send + Sync + 'static) {
        self.hcn.inner().inner().tell(Box::new(meter));
    }

    /// The slowest call since this was last asked, if it took longer than it may.
    pub fn take_slowest(&self) -> Option<SlowCall> {
        self.hcn.inner().take_slowest()
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
        let hns = match &self.facts {
            Some(facts) => format!("emulated HNS {}", facts.version),
            None => "HNS of this host".to_owned(),
        };
        format!("hnsproxy {}, {hns}", env!("CARGO_PKG_VERSION"))
    }

    /// The name of the node, where an emulated host says so.
    pub fn node_name(&self) -> Option<String> {
        self.facts.as_ref().map(|facts| facts.node.clone()).filter(|name| !name.is_empty())
    }

    /// The addresses of the node, where an emulated host says so.
    pub fn node_ips(&self) -> Vec<IpAddr> {
        self.facts.as_ref().map(|facts| facts.node_ips.clone()).unwrap_or_default()
    }

    /// The MAC address of the node's adapter, where an emulated host says so.
    pub fn node_mac(&self) -> Option<String> {
        self.facts.as_ref().and_then(|facts| facts.mac.clone())
    }

    /// The names of the networks that an emulated host had at the start.
    pub fn networks(&self) -> Vec<String> {
        self.facts.as_ref().map(|facts| facts.networks.clone()).unwrap_or_default()
    }

    /// How many native calls this process made.
    pub fn counts(&self) -> Counts {
        self.hcn.counts()
    }

    /// Writes what an emulated HNS holds now to a file that [`open`](Self::open) reads.
    ///
    /// # Errors
    /// Where HNS is not emulated, its service can't be asked, or the file can't be written.
    #[cfg(feature = "emulator")]
    pub fn save(&self, path: &Path) -> Result<(), HnsError> {
        let document = self.emulated.as_ref().ok_or(HnsError::NotEmulated)?.document()?;
        let unwritable = |source| HnsError::Unwritable { path: path.to_owned(), source };
        let text = serde_json::to_string_pretty(&document).map_err(|error| unwritable(error.into()))?;
        std::fs::write(path, text + "\n").map_err(unwritable)
    }

    /// Writes what an emulated HNS holds now to a file.
    ///
    /// # Errors
    /// Always: HNS is not emulated.
    #[cfg(not(feature = "emulator"))]
    pub fn save(&self, _path: &Path) -> Result<(), HnsError> {
        Err(HnsError::NotEmulated)
    }
}

/// What goes around every HNS.
type Measured = Counting<Timed<Metered<Box<dyn Hcn>>>>;

fn measured(hcn: Box<dyn Hcn>, args: &HnsArgs) -> Arc<Measured> {
    Arc::new(Counting::new(Timed::new(Metered::new(hcn), args.hns_call_budget)))
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
