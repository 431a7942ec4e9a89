//! Prepares commands that take the flags of kube-proxy: reads the configuration, starts the log, and handles the flags that replace the
//! command.

use tracing::{debug, info, warn};

use super::{IN_SYNC, cleanup};
use crate::cli::{LogArgs, ProxyArgs};
use crate::config::{Action, Config, Logging};
use crate::error::CommandError;
use crate::shutdown::Shutdown;
use crate::{log, output, saved_file};

/// Runs `run`, or what the configuration asks for instead.
pub(super) fn run(
    args: &ProxyArgs,
    shutdown: &Shutdown,
    command: impl FnOnce(&Config) -> Result<u8, CommandError>,
) -> Result<u8, CommandError> {
    let Some(config) = start(args)? else { return Ok(IN_SYNC) };
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

/// Runs a command that changes nothing.
///
/// # Errors
/// If a flag of kube-proxy requests another action, such as `--cleanup`.
pub(super) fn read_only(
    args: &ProxyArgs,
    command: impl FnOnce(&Config) -> Result<u8, CommandError>,
) -> Result<u8, CommandError> {
    let Some(config) = start(args)? else { return Ok(IN_SYNC) };
    match &config.action {
        Action::Run => command(&config),
        Action::WriteConfig(_) => Err(CommandError::OnlyRun("--write-config-to")),
        Action::Cleanup => Err(CommandError::OnlyRun("--cleanup")),
        Action::InitOnly => Err(CommandError::InitOnly),
    }
}

/// Reads the configuration, and starts the log. None if `--version` is given; the version is printed then.
fn start(args: &ProxyArgs) -> Result<Option<Config>, CommandError> {
    if let Some(version) = args.kube_proxy.version_to_print() {
        output::text(&version)?;
        return Ok(None);
    }
    let resolved = Config::resolve(&args.kube_proxy);
    let mut log_args = LogArgs::of_output(args.log_output.clone());
    if let Ok(Config { logging: Logging { format, verbosity }, .. }) = resolved {
        (log_args.logging_format, log_args.verbosity) = (format, verbosity);
    }
    log::start(&log_args);
    // They may be why the configuration is invalid.
    args.log_notes.hints.iter().for_each(|hint| warn!("{hint}"));
    let config = resolved?;
    args.log_notes.flags.iter().for_each(|flag| debug!("FLAG: {flag}"));
    log::notes(&config.notes);
    Ok(Some(config))
}
