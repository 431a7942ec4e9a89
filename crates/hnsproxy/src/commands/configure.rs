//! What comes before a command that has kube-proxy's flags: its configuration, its log, and what is done instead of it.

use std::fs;

use tracing::{Level, debug, info, warn};

use super::{CONVERGED, cleanup};
use crate::cli::{LogArgs, ProxyArgs};
use crate::config::{Action, Config, Logging, Note};
use crate::error::CommandError;
use crate::{log, output};

/// Does what the configuration asks for: mostly the command.
pub(super) fn with(
    args: &ProxyArgs,
    command: impl FnOnce(&Config) -> Result<u8, CommandError>,
) -> Result<u8, CommandError> {
    if let Some(version) = args.kube_proxy.version_to_print() {
        output::text(&version)?;
        return Ok(CONVERGED);
    }
    let config = Config::resolve(&args.kube_proxy)?;
    let Logging { format, verbosity } = config.logging;
    log::start(&LogArgs { verbosity, logging_format: format, log_file: args.log_file.clone() })?;
    say(&config.notes);
    match &config.action {
        Action::Run => command(&config),
        Action::WriteConfig(path) => {
            let written = serde_saphyr::to_string(&config.to_v1alpha1()).map_err(std::io::Error::other);
            written
                .and_then(|text| fs::write(path, text))
                .map_err(|source| CommandError::WriteConfig { path: path.clone(), source })?;
            info!("the configuration is written to {}", path.display());
            Ok(CONVERGED)
        }
        Action::Cleanup => cleanup::main(args, &config),
        Action::InitOnly => Err(CommandError::InitOnly),
    }
}

/// Logs what is to be said of a configuration.
pub(super) fn say(notes: &[Note]) {
    for Note { level, text } in notes {
        match *level {
            Level::ERROR | Level::WARN => warn!("{text}"),
            Level::INFO => info!("{text}"),
            _ => debug!("{text}"),
        }
    }
}
