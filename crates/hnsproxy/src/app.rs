//! Builds the process from the arguments and the configuration, and runs it.
//!
//! [`build`] opens everything and binds the addresses. The returned [`Bound`] already serves HTTP; [`Bound::run`] starts to program HNS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cluster_source::error_chain;
use cluster_source::file_watch::FileWatch;
use tracing::{info, warn};

use crate::background::{Background, Task};
use crate::cli::RunArgs;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::control_loop::{Context, ControlLoop, Event, EventQueue, Exit, Reload};
use crate::error::CommandError;
use crate::events::{self, EventType, ObjectReference, SharedCorrelator};
use crate::history::History;
use crate::hns::Hns;
use crate::log;
use crate::metrics::Metrics;
use crate::reporting::Reporting;
use crate::serve::ListenerTls;
use crate::shutdown::Shutdown;
use crate::source::Source;
use crate::status::{CallStatistics, StatusStore};
use crate::vip_probe::{Route, VipProbe};
use crate::windows_service::event_log;

/// After this many timeouts of a watch without a list, event or bookmark, and without an outage, the node is not ready. Lists replace a watch
/// that has been silent for two to two and two thirds of its timeouts, and that is a known outage.
const MAX_SILENT_TIMEOUTS: u32 = 3;

/// How long a shutdown waits for the disk of the history.
const HISTORY_FLUSH: Duration = Duration::from_millis(500);

/// The process, ready to run.
pub struct Bound<'a> {
    context: Context<'a>,
    correlator: SharedCorrelator,
    reporting: Reporting,
    control_loop: ControlLoop<'a>,
    _config_watcher: Option<FileWatch>,
    _event_log: Option<Task>,
    _probe: Option<Task>,
}

/// Builds the process. It runs until `shutdown` is requested.
///
/// # Errors
/// If a part cannot be opened, a certificate cannot be used, or an address is taken and `--bind-address-hard-fail` is set.
pub fn build<'a>(
    args: &'a RunArgs,
    config: &Config,
    hns: Arc<Hns>,
    shutdown: &Shutdown,
) -> Result<Bound<'a>, CommandError> {
    build_with_route(args, config, hns, shutdown, Arc::new(|address| address))
}

/// Like [`build`], but the VIP probe connects to the address that `route` returns.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_with_route<'a>(
    args: &'a RunArgs,
    config: &Config,
    hns: Arc<Hns>,
    shutdown: &Shutdown,
    route: Route,
) -> Result<Bound<'a>, CommandError> {
    let clock = Clock::new();
    let store = Arc::new(StatusStore::new(clock, args.proxy.source.watch_timeout * MAX_SILENT_TIMEOUTS));
    let events = EventQueue::new(store.clone());
    let requested = events.clone();
    shutdown.on_request(move || requested.send(Event::Shutdown));
    let changed = events.clone();
    let config_watcher = config::watch(args.proxy.kube_proxy.clone(), config.clone(), move |change| {
        changed.send(Event::Config(change));
    });
    let metrics = Arc::new(Metrics::default());
    let calls = Arc::new(CallStatistics::new(clock));
    let (counts, statistics) = (metrics.clone(), calls.clone());
    hns.observe_calls(move |call| {
        counts.hns_call(call);
        statistics.record(call);
    });
    let background = Background::start().map_err(CommandError::Background)?;
    let tls = ListenerTls::open(&args.tls)?;
    let history = args.state_dir.as_deref().map_or_else(History::default, History::saved_in);
    hns.record_overdue_calls(history.clone());
    let (services, explanations) = (Arc::default(), Arc::default());
    let context =
        Context { args, tls, hns, events, store, metrics, history, services, explanations, calls, background };
    let source = Source::at_start(&args.proxy, config)?;
    let correlator = SharedCorrelator::default();
    let reporting = Reporting::start(&context, config, &source, &correlator, Some(starting()))?;
    let control_loop = ControlLoop::new(context.clone(), config.clone(), &source, None)?;
    let probe = (!args.probe.services.is_empty()).then(|| vip_probe(&context, route));
    let statuses = context.store.subscribe();
    let event_log = args
        .proxy
        .kube_proxy
        .windows_service()
        .then(|| context.background.spawn(move |stopped| event_log::follow(statuses, stopped, event_log::report)));
    Ok(Bound {
        context,
        correlator,
        reporting,
        control_loop,
        _config_watcher: config_watcher,
        _event_log: event_log,
        _probe: probe,
    })
}

/// Starts the VIP probe. It continues when the configuration changes.
fn vip_probe(context: &Context<'_>, route: Route) -> Task {
    let Context { args, hns, events, store, metrics, background, .. } = context;
    let (events, overdue) = (events.clone(), hns.overdue_calls());
    let probe = VipProbe {
        interval: args.probe.interval,
        repairs: args.probe.repairs,
        store: store.clone(),
        metrics: metrics.clone(),
        is_overdue: Box::new(move || overdue().is_some()),
        send: Box::new(move |report| events.send(Event::Probed(report))),
        route,
    };
    probe.start(background)
}

impl Bound<'_> {
    /// Where `/healthz` is served. None if it is switched off, or if another program has the address.
    pub fn healthz_address(&self) -> Option<SocketAddr> {
        self.reporting.healthz_address()
    }

    /// Where `/metrics` is served. None if another program has the address.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.reporting.metrics_address()
    }

    /// Programs HNS until shutdown is requested.
    ///
    /// # Errors
    /// If the process has to be restarted.
    pub fn run(self) -> Result<(), CommandError> {
        let Self { context, correlator, mut reporting, mut control_loop, _config_watcher, _event_log, _probe } = self;
        loop {
            let Reload { config, file_error } = match control_loop.run()? {
                Exit::Reload(reload) => reload,
                Exit::Shutdown => {
                    info!("shut down; HNS keeps its state");
                    context.history.flush(HISTORY_FLUSH);
                    return Ok(());
                }
            };
            // The new loop is built before the old one is dropped, so that an unusable configuration changes nothing.
            let replaced = Source::of(&context.args.proxy, &config).map_err(CommandError::from).and_then(|source| {
                let new = ControlLoop::new(context.clone(), *config, &source, Some(control_loop.session()))?;
                Ok((new, source))
            });
            match replaced {
                Err(error) => control_loop.reject_configuration(error_chain(&error)),
                Ok((new, source)) => {
                    info!("configuration changed");
                    log_as(new.config(), control_loop.config());
                    control_loop = new;
                    control_loop.record_configuration(None, "configuration changed");
                    // The new configuration may have the same addresses, so they are released first.
                    drop(reporting);
                    reporting = Reporting::start(&context, control_loop.config(), &source, &correlator, None)?;
                    file_error.into_iter().for_each(|error| control_loop.reject_configuration(error));
                }
            }
        }
    }
}

/// Applies the log settings of a new configuration, and logs its notes.
fn log_as(new: &Config, old: &Config) {
    if new.logging.verbosity != old.logging.verbosity {
        log::set_verbosity(new.logging.verbosity);
    }
    if new.logging.format != old.logging.format {
        warn!("logging.format is not applied; restart hnsproxy to change the log format");
    }
    log::notes(&new.notes);
}

/// The Event that kube-proxy sends at its start.
fn starting() -> events::Event {
    let (regarding, event_type) = (ObjectReference::Node, EventType::Normal);
    events::Event { regarding, event_type, reason: "Starting", action: "StartKubeProxy", note: String::new() }
}

#[cfg(test)]
#[cfg(feature = "emulator")]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use serde_json::Value;

    use super::*;
    use crate::cli::{self, Command};
    use crate::hns::HnsChoice;
    use crate::http_client::Server;
    use crate::status::Status;

    fn recording(file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/boutique-l2bridge").join(file)
    }

    /// What a process is built of: the cluster and the host of a recording.
    struct Parts {
        args: RunArgs,
        config: Config,
        hns: Arc<Hns>,
        shutdown: Shutdown,
    }

    impl Parts {
        fn new(flags: &[&str]) -> Self {
            let from = format!("--from={}", recording("cluster.json").display());
            let hns = format!("--hns=emulated:{}", recording("host.json").display());
            let line = [&["hnsproxy", "run", from.as_str(), hns.as_str()][..], flags].concat();
            let command = cli::parse(line.iter().map(Into::into)).unwrap().command;
            let Command::Run(args) = command else { panic!("{line:?}") };
            let mut config = Config::resolve(&args.proxy.kube_proxy).unwrap();
            // The flags do not allow port 0.
            (config.metrics_address, config.healthz_address) = ("127.0.0.1:0".parse().unwrap(), None);
            let hns = Hns::open(&args.proxy.hns).unwrap();
            Self { args, config, hns, shutdown: Shutdown::default() }
        }

        fn build(&self) -> Bound<'_> {
            build(&self.args, &self.config, self.hns.clone(), &self.shutdown).unwrap()
        }

        /// The configuration with direct server return.
        fn with_dsr(&self) -> Event {
            let mut config = self.config.clone();
            config.winkernel.enable_dsr = true;
            Event::Config(config::Change::Valid(Box::new(config)))
        }

        /// Runs with events that are queued before, until HNS is in sync. Returns the number of writes.
        fn run(&self, events: Vec<Event>) -> u64 {
            let bound = self.build();
            events.into_iter().for_each(|event| bound.context.events.send(event));
            self.run_until_in_sync(bound);
            self.hns.counts().writes
        }

        fn run_until_in_sync(&self, bound: Bound<'_>) {
            let Context { store, background, .. } = bound.context.clone();
            let (mut status, shutdown) = (store.subscribe(), self.shutdown.clone());
            let _task = background.spawn(move |stopped| async move {
                let in_sync = |status: &Arc<Status>| status.hns_version.is_some() && status.progress.backlog == 0;
                tokio::select! {
                    _ = status.wait_for(in_sync) => {
                        shutdown.request();
                    }
                    _ = stopped => {}
                }
            });
            bound.run().unwrap();
        }
    }

    #[test]
    fn of_queued_configurations_only_the_last_is_programmed() {
        let writes = Parts::new(&[]).run(Vec::new());
        let parts = Parts::new(&[]);
        let before = Event::Config(config::Change::Valid(Box::new(parts.config.clone())));
        assert_eq!(parts.run(vec![parts.with_dsr(), before]), writes);
        let parts = Parts::new(&[]);
        assert_eq!(parts.run(vec![parts.with_dsr()]), Parts::new(&["--enable-dsr"]).run(Vec::new()));
    }

    #[test]
    fn a_shutdown_that_is_queued_with_a_configuration_wins() {
        let parts = Parts::new(&[]);
        assert_eq!(parts.run(vec![parts.with_dsr(), Event::Shutdown]), 0);
    }

    #[test]
    fn the_host_has_the_addresses_of_its_node() {
        let mut host: Value = serde_json::from_str(&fs::read_to_string(recording("host.json")).unwrap()).unwrap();
        host["nodeIPs"] = Value::Array(Vec::new());
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), host.to_string()).unwrap();
        let mut parts = Parts::new(&["--hostname-override=lin-4"]);
        parts.args.proxy.hns.hns = Some(HnsChoice::Emulated(Some(file.path().to_owned())));
        parts.hns = Hns::open(&parts.args.proxy.hns).unwrap();
        let bound = parts.build();
        let store = bound.context.store.clone();
        parts.run_until_in_sync(bound);
        let status = store.snapshot().status;
        let addresses: Vec<_> = status.node.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.168.77.4", "fd00:77::4"]);
    }

    #[test]
    fn a_bound_process_has_real_addresses_and_answers_before_it_runs() {
        let parts = Parts::new(&[]);
        let (hns, bound) = (&parts.hns, parts.build());
        assert_eq!(bound.healthz_address(), None);
        let address = bound.metrics_address().unwrap();
        let server = Server { address, certificate_file: None };
        assert!(server.get_json::<Value>("/configz").unwrap().is_some(), "{address}");
        assert_eq!(hns.counts().calls, 0);
        parts.shutdown.request();
        bound.run().unwrap();
        assert!(server.get_json::<Value>("/configz").is_err(), "the address is free again");
    }
}
