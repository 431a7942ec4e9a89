//! The arguments of `probe`.

use clap::Args;

use super::{LogArgs, OutputArgs};
use crate::hns::HnsArgs;

pub(super) const EXAMPLES: &str = "\
Examples:
  Compare HNS with what is known of its build, without changing anything:
    hnsproxy probe --network-name=cbr0
  Keep the survey in a file:
    hnsproxy probe -o json > survey.json

Exit codes: 0 all as expected, 1 something differs or the command line is invalid, 2 HNS could not be probed.";

#[derive(Debug, Args)]
pub struct ProbeArgs {
    #[command(flatten)]
    pub hns: HnsArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub log: LogArgs,
    /// The HNS network of the pods; the first one of a list. Default: the environment variable KUBE_NETWORK, else the only network of type
    /// L2Bridge, L2Tunnel or Overlay.
    #[arg(long, value_name = "NAME")]
    pub network_name: Option<String>,
}
