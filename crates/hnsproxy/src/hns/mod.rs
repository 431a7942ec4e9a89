//! Opens the chosen HNS. Knows what no native call returns: the name and addresses of an emulated node, and the counts of calls.

mod args;
#[cfg(feature = "emulator")]
mod dump;
#[cfg(feature = "emulator")]
mod emulated;
pub mod objects;
mod watchdog;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use hcn::{ApiVersion, Client, Counts, Features, FinishedCall, Hcn, Instrumented, SlowCall, Version};

use crate::history::History;
#[cfg(feature = "emulator")]
use crate::saved_file;
pub use args::{HnsApi, HnsArgs, HnsChoice};
#[cfg(feature = "emulator")]
pub use emulated::emulator;
#[cfg(all(feature = "emulator", feature = "fuzzing"))]
pub use emulated::emulator_of_text;

#[derive(Debug, thiserror::Error)]
pub enum HnsError {
    #[error("--hns windows is for Windows only; use --hns emulated[:PATH] or --hns tcp://HOST:PORT")]
    NotWindows,
    #[cfg(not(feature = "emulator"))]
    #[error("this build has no emulated HNS (releases for Windows have none); use --hns windows")]
    NoEmulator,
    #[error("cannot read {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("invalid host document {}: {reason}", path.display())]
    InvalidHost { path: PathBuf, reason: String },
    #[error("cannot write {}", path.display())]
    Unwritable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[cfg(feature = "emulator")]
    #[error("cannot connect to the emulator at {address}")]
    Service {
        address: String,
        #[source]
        source: hcn_emulator::control::ControlError,
    },
    #[error("--save-hns is for emulated HNS only")]
    NotEmulated,
}

/// The facts of an emulated host.
#[cfg_attr(not(feature = "emulator"), allow(dead_code, reason = "only emulated hosts have facts"))]
struct Facts {
    version: String,
    node: String,
    node_ips: Vec<IpAddr>,
    mac: Option<String>,
}

pub struct Hns {
    hcn: Arc<Instrumented<Box<dyn Hcn>>>,
    /// None for the HNS of this Windows host.
    facts: Option<Facts>,
    #[cfg(feature = "emulator")]
    emulated: Option<emulated::Emulated>,
    api: HnsApi,
    /// Empty until the history is opened, because the watchdog starts earlier.
    history: Arc<OnceLock<History>>,
}

impl Hns {
    /// # Errors
    /// If this build does not have the chosen HNS, its host document is invalid, or its service is not reachable.
    #[cfg(feature = "emulator")]
    pub fn open(args: &HnsArgs) -> Result<Arc<Self>, HnsError> {
        if args.is_emulated_by_default() {
            tracing::warn!("--hns not given: using an emulated HNS in this process, not the HNS of a Windows host");
        }
        let (hcn, facts, emulated) = match args.choice() {
            HnsChoice::Emulated(path) => emulated::in_process(path.as_deref())?,
            HnsChoice::Tcp(address) => emulated::service(address)?,
            HnsChoice::Windows => {
                let (hcn, history) = instrumented(windows()?, args);
                return Ok(Arc::new(Self { hcn, facts: None, emulated: None, api: args.hns_api, history }));
            }
        };
        let (hcn, history) = instrumented(hcn, args);
        Ok(Arc::new(Self { hcn, facts: Some(facts), emulated: Some(emulated), api: args.hns_api, history }))
    }

    /// # Errors
    /// If this build does not have the chosen HNS.
    #[cfg(not(feature = "emulator"))]
    pub fn open(args: &HnsArgs) -> Result<Arc<Self>, HnsError> {
        match args.choice() {
            HnsChoice::Windows => {
                let (hcn, history) = instrumented(windows()?, args);
                Ok(Arc::new(Self { hcn, facts: None, api: args.hns_api, history }))
            }
            HnsChoice::Emulated(_) | HnsChoice::Tcp(_) => Err(HnsError::NoEmulator),
        }
    }

    /// Reads the call in flight that exceeds its budget, from any thread: the thread that calls is blocked.
    pub fn overdue_calls(&self) -> impl Fn() -> Option<SlowCall> + Send + Sync + use<> {
        let hcn = self.hcn.clone();
        move || hcn.overdue()
    }

    /// Reads the oldest call in flight, from any thread.
    pub fn oldest_call(&self) -> impl Fn() -> Option<SlowCall> + Send + Sync + use<> {
        let hcn = self.hcn.clone();
        move || hcn.in_flight().first().map(|call| SlowCall { function: call.function, took: call.took })
    }

    /// Begins no further read, and makes runs begin no further job. May be called from any thread.
    pub fn stop(&self) {
        self.hcn.stop();
    }

    /// Whether [`stop`](Self::stop) was called.
    pub fn is_stopped(&self) -> bool {
        self.hcn.is_stopped()
    }

    /// Calls back after each native call from now on.
    pub fn observe_calls(&self, observer: impl Fn(&FinishedCall) + Send + Sync + 'static) {
        self.hcn.observe(Box::new(observer));
    }

    /// From now on, records calls that exceed their budget in this history. Later calls of this function have no effect.
    pub fn record_overdue_calls(&self, history: History) {
        let _ = self.history.set(history);
    }

    /// The slowest call since the last time, if it exceeded its budget.
    pub fn take_slowest(&self) -> Option<SlowCall> {
        self.hcn.take_slowest()
    }

    pub fn hcn(&self) -> Arc<dyn Hcn> {
        self.hcn.clone()
    }

    pub fn client(&self, api_version: ApiVersion) -> Client {
        Client::new(self.hcn(), api_version)
    }

    /// The API that was chosen, which can be auto.
    pub fn api(&self) -> HnsApi {
        self.api
    }

    /// The API that is used with a version of HNS.
    pub fn api_version(&self, version: Version) -> ApiVersion {
        match self.api {
            HnsApi::V1 => ApiVersion::V1,
            HnsApi::V2 => ApiVersion::V2,
            HnsApi::Auto if Features::of(version).v2 => ApiVersion::V2,
            HnsApi::Auto => ApiVersion::V1,
        }
    }

    /// A client of the API that was chosen, or that the version of HNS has.
    ///
    /// # Errors
    /// If the version of HNS decides, and cannot be read.
    pub fn chosen_client(&self) -> Result<Client, hcn::Error> {
        Ok(self.client(match self.api {
            HnsApi::V1 => ApiVersion::V1,
            HnsApi::V2 => ApiVersion::V2,
            HnsApi::Auto => self.api_version(self.client(ApiVersion::V1).version()?),
        }))
    }

    /// For every output, so that an emulated HNS is not mistaken for a real one.
    pub fn description(&self) -> String {
        let hns = match &self.facts {
            Some(facts) => format!("emulated HNS {}", facts.version),
            None => "HNS of this host".to_owned(),
        };
        format!("hnsproxy {}, {hns}", env!("CARGO_PKG_VERSION"))
    }

    /// The name of an emulated node.
    pub fn node_name(&self) -> Option<String> {
        self.facts.as_ref().map(|facts| facts.node.clone()).filter(|name| !name.is_empty())
    }

    /// The addresses of an emulated node.
    pub fn node_ips(&self) -> Vec<IpAddr> {
        self.facts.as_ref().map(|facts| facts.node_ips.clone()).unwrap_or_default()
    }

    /// The MAC address of an emulated node.
    pub fn node_mac(&self) -> Option<String> {
        self.facts.as_ref().and_then(|facts| facts.mac.clone())
    }

    /// The native calls of this process.
    pub fn counts(&self) -> Counts {
        self.hcn.counts()
    }

    /// Writes the state of an emulated HNS to a file that [`open`](Self::open) reads.
    ///
    /// # Errors
    /// If HNS is not emulated, its service is not reachable, or the file cannot be written.
    #[cfg(feature = "emulator")]
    pub fn save(&self, path: &Path) -> Result<(), HnsError> {
        let document = self.emulated.as_ref().ok_or(HnsError::NotEmulated)?.document()?;
        let unwritable = |source| HnsError::Unwritable { path: path.to_owned(), source };
        let text = serde_json::to_string_pretty(&document).map_err(|error| unwritable(error.into()))?;
        saved_file::save(path, (text + "\n").as_bytes()).map_err(unwritable)
    }

    /// # Errors
    /// Always: HNS is not emulated.
    #[cfg(not(feature = "emulator"))]
    pub fn save(&self, _path: &Path) -> Result<(), HnsError> {
        Err(HnsError::NotEmulated)
    }
}

type Watched = (Arc<Instrumented<Box<dyn Hcn>>>, Arc<OnceLock<History>>);

fn instrumented(hcn: Box<dyn Hcn>, args: &HnsArgs) -> Watched {
    let (hcn, history) = (Arc::new(Instrumented::new(hcn, args.hns_call_budget)), Arc::default());
    if let Err(error) = watchdog::watch(&hcn, Arc::clone(&history)) {
        tracing::warn!(%error, "cannot watch HNS calls: one that hangs is not logged before it returns");
    }
    (hcn, history)
}

#[cfg(windows)]
fn windows() -> Result<Box<dyn Hcn>, HnsError> {
    Ok(Box::new(hcn::Windows::with_warnings(|function, record| {
        tracing::warn!(function, code = record.error_code, "HNS succeeded with an error record: {}", record.error);
    })))
}

#[cfg(not(windows))]
fn windows() -> Result<Box<dyn Hcn>, HnsError> {
    Err(HnsError::NotWindows)
}
