//! Prepares commands that take the flags of kube-proxy: reads the configuration, starts the log, and handles the flags that replace the
//! command.

use tracing::info;

use super::{IN_SYNC, cleanup};
use crate::cli::{LogArgs, ProxyArgs};
use crate::config::{Action, Config, Logging};
use crate::error::CommandError;
use crate::shutdown::Shutdown;
use crate::{log, output, saved_file};

/// Runs the command, or what the configuration asks for instead.
pub(super) fn with(
    args: &ProxyArgs,
    shutdown: &Shutdown,
    command: impl FnOnce(&Config) -> Result<u8, CommandError>,
) -> Result<u8, CommandError> {
    if let Some(version) = args.kube_proxy.version_to_print() {
        output::text(&version)?;
        return Ok(IN_SYNC);
    }
    let config = Config::resolve(&args.kube_proxy)?;
    let Logging { format, verbosity } = config.logging;
    log::start(&LogArgs { verbosity, logging_format: format, output: args.log_output.clone() });
    log::notes(&config.notes);
    match &config.action {
        Action::Run => command(&config),
        Action::WriteConfig(path) => {
            let written = serde_saphyr::to_string(&config.to_v1alpha1()).map_err(std::io::Error::other);
            written
                .and_then(|text| saved_file::save(path, text.as_bytes()))
                .map_err(|source| CommandError::WriteConfig { path: path.clone(), source })?;
            info!("wrote the configuration to {}", path.display());
            Ok(IN_SYNC)
        }
        Action::Cleanup => cleanup::main(args, &config, shutdown),
        Action::InitOnly => Err(CommandError::InitOnly),
    }
}
