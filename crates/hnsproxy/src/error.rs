//! The error of a command: those of all parts of the process in one type.

use std::net::SocketAddr;
use std::path::PathBuf;

use cluster_source::cluster::{AccessError, ReadError};
use cluster_source::error_chain;
use cluster_source::files::FileError;
use proxy::model::ServiceName;

use crate::config::ConfigError;
use crate::environment::SettingsError;
use crate::hns::HnsError;
use crate::http_client::RequestError;
use crate::instance_lock::LockedByOther;
use crate::packet::PacketError;
use crate::serve::{ListenError, TlsError};
use crate::source::NodeError;
use crate::status::NotReady;
use crate::windows_service::ServiceError;

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot write the configuration to {}", path.display())]
    WriteConfig {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The message of kube-proxy on Windows.
    #[error("--init-only is implemented only on Linux")]
    InitOnly,
    /// A flag that requests a change, in a command that changes nothing.
    #[error("{0} has an effect only in `hnsproxy run`; remove it, or use `hnsproxy run`")]
    OnlyRun(&'static str),
    #[error(transparent)]
    Source(#[from] FileError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("cannot start the background thread")]
    Background(#[source] std::io::Error),
    #[error(transparent)]
    Hns(#[from] HnsError),
    #[error(transparent)]
    Locked(#[from] LockedByOther),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Packet(#[from] PacketError),
    #[error(transparent)]
    Observe(#[from] proxy::AuditError),
    /// The output of a command shows what HNS has.
    #[error("cannot read the state of HNS")]
    ReadHns(#[from] hcn::Error),
    #[error(
        "HNS not in sync: {}; the log has the failed steps (native_calls={}, writes={})",
        .reasons.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join(", "),
        .counts.calls,
        .counts.writes
    )]
    NotInSync { reasons: Vec<NotReady>, counts: hcn::Counts },
    #[error("HNS not in sync: shutdown was requested first")]
    Stopped,
    #[error("cannot write the result")]
    Output(#[from] std::io::Error),
    #[error(
        "cannot listen at {address}: {source}; if another program listens there, stop it or choose another address"
    )]
    Listen {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    BindHardFail(#[from] ListenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Checked before the installation: a service with these arguments would not start.
    #[error("invalid arguments for the service: {0}")]
    ServiceArguments(String),
    #[error("Service {service} {}", .why.as_ref().map_or_else(|| "not found".to_owned(), |why| format!("skipped: {why}")))]
    ServiceNotFound {
        service: ServiceName,
        /// Why it was skipped, if it is in the input.
        why: Option<String>,
    },
    #[error(
        "cannot query hnsproxy at {address}: {}; set --debug-address to where it listens, or {instead}",
        error_chain(source)
    )]
    Query {
        address: SocketAddr,
        #[source]
        source: RequestError,
        /// What else the command can do.
        instead: &'static str,
    },
    /// Separate from `Query`, because `status` has an exit code of its own for this error.
    #[error(transparent)]
    NotReachable(Box<CommandError>),
    #[error("cannot ask before the probe writes to HNS: standard input is not a terminal; set --yes")]
    ProbeNotAsked,
    #[error("probe not started: not confirmed")]
    ProbeNotConfirmed,
    #[error("probe ended before its last check: shutdown was requested")]
    ProbeStopped,
    #[error("cannot choose the network for the probe: {0}")]
    ProbeNetwork(String),
    /// What has them.
    #[error("cannot use the addresses of the probe: {0}; remove it before `hnsproxy probe --write`")]
    ProbeAddresses(String),
    #[error("cannot {what}")]
    ProbeWrite {
        what: &'static str,
        #[source]
        source: hcn::Error,
    },
    #[error("cannot remove {0} of the probe; the log has the reasons; retry with `hnsproxy probe --cleanup`")]
    ProbeNotRemoved(String),
    #[error("cannot read {0}, which the probe may have created; retry with `hnsproxy probe --cleanup`")]
    ProbeUnread(String),
    #[cfg(feature = "emulator")]
    #[error("invalid survey {}: {reason}", path.display())]
    Survey { path: PathBuf, reason: String },
    #[cfg(feature = "emulator")]
    #[error("cannot record the changes to {}", path.display())]
    Record {
        path: PathBuf,
        #[source]
        source: hcn_emulator::recording::RecordError,
    },
    #[error("cannot write the bundle {}", path.display())]
    Bundle {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write the bundle {}: the file exists; choose another name, or set --force", .0.display())]
    BundleExists(PathBuf),
    #[error("cannot watch the bundle {}: a bundle does not change; set --once", .0.display())]
    BundleNeedsOnce(PathBuf),
    #[error("cannot catch the signals for shutdown")]
    Signal(#[from] ctrlc::Error),
}
