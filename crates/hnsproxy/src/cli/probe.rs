//! The arguments of `probe`.

use std::num::NonZeroUsize;

use clap::Args;

use super::{LogArgs, OutputArgs};
use crate::hns::HnsArgs;

pub(super) const EXAMPLES: &str = "\
Examples:
  Compare HNS with what is known of its build, without changing anything:
    hnsproxy probe --network-name=cbr0
  Also create objects on addresses for documentation, measure the calls, and keep the survey in a file:
    hnsproxy probe --network-name=cbr0 --write --yes -o json > survey.json
  Remove the objects of a probe that was killed:
    hnsproxy probe --cleanup

Exit codes: 0 all as expected, 1 something differs or the command line is invalid, 2 HNS could not be probed, 3 ended before the shutdown \
was complete, 4 another hnsproxy writes to the same HNS.";

#[derive(Debug, Args)]
pub struct ProbeArgs {
    #[command(flatten)]
    pub hns: HnsArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub log: LogArgs,
    /// The HNS network of the pods; the first one of a list.
    ///
    /// Default: the environment variable KUBE_NETWORK, else the only network of type L2Bridge, L2Tunnel or Overlay.
    #[arg(long, value_name = "NAME")]
    pub network_name: Option<String>,
    /// Also create, modify and delete objects.
    ///
    /// On addresses that are reserved for documentation. They are removed at the end. Asks first.
    #[arg(long)]
    pub write: bool,
    /// Do not ask before --write.
    #[arg(long, requires = "write")]
    pub yes: bool,
    /// Only remove the objects that a killed probe has left.
    #[arg(long, conflicts_with = "write")]
    pub cleanup: bool,
    /// The number of calls of each kind that --write measures.
    #[arg(long, value_name = "N", default_value = "20", requires = "write")]
    pub samples: NonZeroUsize,
}
