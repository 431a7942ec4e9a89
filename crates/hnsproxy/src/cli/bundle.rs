//! The arguments of `bundle`.

use std::path::PathBuf;

use clap::Args;

use super::DoctorArgs;

pub(super) const EXAMPLES: &str = "\
Examples:
  On the node, with the flags of the installed service:
    hnsproxy bundle node.zip
  On the node, with the flags of an hnsproxy that runs without a service:
    hnsproxy bundle node.zip --config=C:\\k\\kube-proxy.yaml
  On any computer, with the flags from arguments.json of the bundle:
    hnsproxy plan --from node.zip --hns emulated:node.zip --enable-dsr=true

Exit codes: 0 all parts were written; 1 some parts are missing (manifest.json lists them), or an error.";

#[derive(Debug, Args)]
pub struct BundleArgs {
    /// The file to write.
    #[arg(value_name = "FILE.zip")]
    pub file: PathBuf,
    /// Replace FILE.zip if it exists.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub node: DoctorArgs,
}
