//! The arguments of `doctor`.

use std::net::SocketAddr;

use clap::Args;

use super::{DebugTlsArgs, ProxyArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  Check this node:
    hnsproxy doctor --config=C:\\k\\kube-proxy.yaml
  Check a node on another computer, with its cluster and a dump of its HNS:
    hnsproxy doctor --from cluster.yaml --hns emulated:logs/ --hostname-override=win-1

Exit codes: 0 no check failed; 1 a check failed, or an error; 2 nothing could be checked.";

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The --metrics-bind-address of the running hnsproxy.
    ///
    /// Default: that of the installed Windows service, else 127.0.0.1:10249. With --from, hnsproxy is queried only if this flag is set.
    #[arg(long, value_name = "IP:PORT")]
    pub debug_address: Option<SocketAddr>,
    #[command(flatten)]
    pub debug_tls: DebugTlsArgs,
    #[command(flatten)]
    pub proxy: ProxyArgs,
}
