//! The commands: each is a function from its arguments to an exit code.

mod bounded;
mod bundle;
mod cleanup;
mod completion;
mod configure;
mod doctor;
#[cfg(feature = "emulator")]
mod emulator;
mod explain;
mod installed;
mod once;
mod packet;
mod plan;
mod probe;
mod run;
mod running;
mod service;
mod state;
mod version;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use cluster_source::Catalog;
use cluster_source::error_chain;
use cluster_source::files::{FileError, Files};
use cluster_source::kubernetes::summary;
use tracing::{info, warn};

use crate::bundle_file::{self, CLUSTER, is_bundle};
use crate::cli::{Cli, Command, Explain, LogArgs, ProxyArgs, RunArgs};
use crate::config::Config;
use crate::environment::node_name;
use crate::error::CommandError;
use crate::hns::{Hns, HnsArgs};
use crate::instance_lock::InstanceLock;
use crate::log;
use crate::shutdown::Shutdown;
use crate::source;
use crate::windows_service;
use crate::windows_service::event_log::{self, Level};
use installed::Node;

/// Exit code: done, or nothing to do.
pub const IN_SYNC: u8 = 0;
/// Exit code: any error, those of the command line included.
pub const FAILED: u8 = 1;
/// Exit code of `plan`: HNS differs from the desired state.
pub const DIFFERS: u8 = 2;
/// Exit code of `status`: the running hnsproxy cannot be queried.
pub const NOT_REACHABLE: u8 = 2;
/// Exit code: shutdown was requested and not completed.
pub use crate::shutdown::ABANDONED;

/// Exit code: another hnsproxy writes to the same HNS.
pub const LOCKED: u8 = 4;

/// Runs a command, and logs its error.
pub fn main(cli: &Cli) -> ExitCode {
    let result = dispatch(cli);
    ExitCode::from(result.unwrap_or_else(|error| {
        // A command that failed before it started its log is logged all the same.
        log::start(&LogArgs::of_output(cli.log_output()));
        tracing::error!("{}", error_chain(&error));
        if log::file_status().is_some() {
            // Whoever started the command sees standard error, not the log file.
            let _ = writeln!(std::io::stderr(), "error: {}", error_chain(&error));
        }
        exit_code(&error)
    }))
}

fn exit_code(error: &CommandError) -> u8 {
    match error {
        CommandError::Locked(_) => LOCKED,
        CommandError::NotReachable(_) => NOT_REACHABLE,
        _ => FAILED,
    }
}

fn dispatch(cli: &Cli) -> Result<u8, CommandError> {
    match &cli.command {
        Command::Run(args) => run(args),
        Command::Plan(args) => configure::read_only(&args.proxy, |config| plan::main(args, config)),
        Command::State(args) => {
            log::start(&args.log);
            state::main(args)
        }
        Command::Explain(Explain::Svc(args)) => {
            configure::read_only(&args.proxy, |config| explain::service(args, config))
        }
        Command::Explain(Explain::Packet(args)) => {
            log::start(&args.log);
            packet::main(args)
        }
        Command::Probe(args) => {
            log::start(&args.log);
            probe::main(args)
        }
        Command::Doctor(args) => {
            let node = Node::of(args);
            configure::read_only(&node.proxy, |config| doctor::main(&node, config))
        }
        Command::Bundle(args) => {
            let node = Node::of(&args.node);
            configure::read_only(&node.proxy, |config| bundle::main(args, &node, config))
        }
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => {
            log::start(&args.log);
            emulator::main(args)
        }
        Command::Service(args) => {
            log::start(&LogArgs::of_output(cli.log_output()));
            service::main(args)
        }
        Command::Status(args) => running(cli, || running::status::main(args)),
        Command::Services(args) => running(cli, || running::services::main(args)),
        Command::History(args) => running(cli, || running::history::main(args)),
        Command::Top(args) => running(cli, || running::top::main(args)),
        Command::Version(args) => version::main(args),
        Command::Completion(args) => completion::main(args),
    }
}

/// Runs a command that queries the running hnsproxy.
fn running(cli: &Cli, command: impl FnOnce() -> Result<u8, CommandError>) -> Result<u8, CommandError> {
    log::start(&LogArgs::of_output(cli.log_output()));
    command()
}

/// Runs until shutdown is requested: by a signal, or by the service control manager. A Windows service connects to the manager before
/// anything can fail, because the manager waits for the state of the service.
fn run(args: &RunArgs) -> Result<u8, CommandError> {
    let configured =
        |shutdown: &Shutdown| configure::run(&args.proxy, shutdown, |config| run::main(args, config, shutdown));
    if !args.proxy.kube_proxy.windows_service() {
        return configured(&Shutdown::on_signals()?);
    }
    windows_service::run(|shutdown| {
        // The event log shows the start and an error even if the log file cannot be opened.
        event_log::report(Level::Information, &format!("hnsproxy {} started", env!("CARGO_PKG_VERSION")));
        let result = configured(shutdown);
        let code = result.as_ref().map_or_else(exit_code, |code| *code);
        match &result {
            Ok(_) => event_log::report(Level::Information, "hnsproxy stopped; HNS keeps its state"),
            Err(error) => event_log::report(Level::Error, &format!("hnsproxy failed: {}", error_chain(error))),
        }
        (result, code)
    })?
}

/// The shutdown of a command that catches no signals: a signal ends the process.
fn unhandled() -> Shutdown {
    Shutdown::default()
}

/// Opens HNS. When shutdown is requested, no further call is begun.
fn open(args: &HnsArgs, shutdown: &Shutdown) -> Result<Arc<Hns>, CommandError> {
    let hns = Hns::open(args)?;
    shutdown.waits_for(hns.oldest_call());
    let stopped = hns.clone();
    shutdown.on_request(move || stopped.stop());
    Ok(hns)
}

/// Makes this the only hnsproxy that writes to the HNS. `None` if shutdown is requested while another process has the lock.
fn lock(args: &ProxyArgs, shutdown: &Shutdown) -> Result<Option<InstanceLock>, CommandError> {
    Ok(InstanceLock::acquire(args.hns.choice(), shutdown.timer())?)
}

/// Reads the cluster once.
fn read_cluster(args: &ProxyArgs, config: &Config, hns: &Hns, shutdown: &Shutdown) -> Result<Catalog, CommandError> {
    Ok(match &args.source.from {
        Some(path) => read_files(path)?,
        None => {
            let node_name = node_name(config, hns)?;
            let catalog = source::read_api_server(args, config, &node_name, shutdown)?;
            if catalog.nodes.is_empty() {
                source::warn_of_missing_node(&node_name);
            }
            catalog
        }
    })
}

/// Reads the cluster from files or from a bundle once. Logs the files that cannot be read, and leaves them out.
fn read_files(root: &Path) -> Result<Catalog, CommandError> {
    if is_bundle(root) {
        let path = bundle_file::part_path(root, CLUSTER);
        let text = bundle_file::read_part(root, CLUSTER);
        let text = text.map_err(|source| FileError::Unreadable { path: root.to_owned(), source })?;
        return Ok(Files::of_text(&path, &text)?.catalog());
    }
    let (files, errors) = Files::open(root)?;
    errors.iter().for_each(|error| warn!("{}; leaving it out", error_chain(error)));
    Ok(files.catalog())
}

/// Logs what was read, and what of it could not be used by the proxy of a node.
fn log_catalog(catalog: &Catalog, node_name: &str) {
    info!("{}", catalog.describe());
    catalog.missing_node(node_name).into_iter().for_each(|missing| warn!("{missing}"));
    summary(&catalog.problems).iter().for_each(|line| warn!("{line}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    /// The result of a command whose shutdown is requested while another process has the lock.
    fn stopped_before_the_lock(flags: &[&str]) -> Result<u8, CommandError> {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let hns = format!("--hns=tcp://{}", unused.local_addr().unwrap());
        let line = [&["hnsproxy", "run", hns.as_str()][..], flags].concat();
        let Command::Run(args) = cli::parse(line.iter().map(Into::into)).unwrap().command else { panic!("{line:?}") };
        let config = Config::resolve(&args.proxy.kube_proxy).unwrap();
        let _other = InstanceLock::acquire(args.proxy.hns.choice(), |_| unreachable!()).unwrap();
        let shutdown = Shutdown::default();
        shutdown.request();
        if flags == ["--cleanup"] {
            cleanup::main(&args.proxy, &config, &shutdown)
        } else {
            run::main(&args, &config, &shutdown)
        }
    }

    #[test]
    fn a_command_that_is_shut_down_before_it_has_done_its_work_fails() {
        for flags in [["--once"], ["--cleanup"]] {
            let result = stopped_before_the_lock(&flags);
            assert!(matches!(result, Err(CommandError::Stopped)), "{flags:?}: {result:?}");
        }
        assert!(matches!(stopped_before_the_lock(&[]), Ok(IN_SYNC)));
    }
}
