//! The control loop under one configuration: takes events, audits HNS at an interval, programs it, and publishes the status.

mod event;
mod notifications;

use std::sync::Arc;
use std::time::Duration;

use hcn::{Counts, Event as HnsEvent};
use proxy::Next;
use tracing::{debug, info, warn};

use self::notifications::Notifications;
use crate::background::Background;
use crate::cli::RunArgs;
use crate::config::{self, Config};
use crate::environment::{host, settings};
use crate::error::CommandError;
use crate::history::{Event as HistoryEvent, History, Record};
use crate::hns::Hns;
use crate::host_local::HostLocal;
use crate::instance_lock;
use crate::last_state::StateFile;
use crate::metrics::Metrics;
use crate::serve::{ListenerTls, ObservationRequest};
use crate::session::{AuditProgress, Ran, Session};
use crate::source::{Environment, Feed, Observer, Readiness, Source};
use crate::status::{CallStatistics, ExplanationTable, NodeAbsence, ServiceTable, Status, StatusStore};

pub use event::{Event, EventQueue, Events};

/// How long after an HNS notification the audit follows: a CNI creates the network or endpoint of a pod in several steps.
const NOTIFICATION_SETTLE: Duration = Duration::from_millis(200);

/// How many Services are explained at once. An explanation takes about 0.1 ms, for which pending changes wait.
const EXPLAINED_AT_ONCE: usize = 64;
/// The same before a run: the first write of a change waits for it.
const EXPLAINED_BEFORE_RUN: usize = 8;
/// If more have changed, as at a start, some are explained at this interval, which takes a tenth of the time of a processor.
const EXPLAIN_INTERVAL: Duration = Duration::from_millis(100);
/// How often the loop confirms that all explanations are up to date, however rarely it audits.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(5);

/// What a control loop shares with the rest of the process. It stays the same when the configuration changes.
#[derive(Clone)]
pub struct Context<'a> {
    pub args: &'a RunArgs,
    pub tls: ListenerTls,
    pub hns: Arc<Hns>,
    pub events: EventQueue,
    pub store: Arc<StatusStore>,
    pub metrics: Arc<Metrics>,
    pub history: History,
    pub services: Arc<ServiceTable>,
    pub explanations: Arc<ExplanationTable>,
    pub calls: Arc<CallStatistics>,
    pub background: Background,
}

/// Why the loop returned.
pub enum Exit {
    Shutdown,
    Reload(Reload),
}

/// A new valid configuration from the configuration file.
pub struct Reload {
    pub config: Box<Config>,
    /// Why the file is invalid, if it has become so since.
    pub file_error: Option<String>,
}

pub struct ControlLoop<'a> {
    context: Context<'a>,
    config: Config,
    session: Session,
    feed: Feed,
    next_audit: Duration,
    notifications: Notifications,
    /// The newest configuration that was read since the last tick.
    reload: Option<Reload>,
    /// Why the last change of the configuration file was not applied.
    configuration_error: Option<String>,
    /// The outage of the API server that was last recorded.
    outage: Option<String>,
    /// Whether HNS has been in sync before.
    was_in_sync: bool,
    /// When Services were last explained apart from a run.
    explained_at: Duration,
}

/// What a tick leaves to do.
struct Advance {
    /// The part of the Node that it waits for, if any.
    waiting_for_node: Option<String>,
    /// The time of the next tick.
    next: Duration,
    is_status_due: bool,
}

impl Advance {
    fn until(next: Duration) -> Self {
        Self { waiting_for_node: None, next, is_status_due: true }
    }
}

impl<'a> ControlLoop<'a> {
    /// `before` is the session of the loop that this one replaces.
    ///
    /// # Errors
    /// If the settings are incomplete, or the source of the cluster cannot be opened.
    pub fn new(
        context: Context<'a>,
        config: Config,
        source: &Source,
        before: Option<&Session>,
    ) -> Result<Self, CommandError> {
        let Context { args, hns, events, store, metrics, history, services, explanations, background, .. } = &context;
        let settings = settings(&config, &args.proxy, hns)?;
        let node_name = settings.node_name.clone();
        let environment = Environment { args: &args.proxy, config: &config, hns };
        let sender = events.clone();
        store.forget_node(if let Source::Files(_) = source { NodeAbsence::Eligible } else { NodeAbsence::Unchanged });
        let send = move |origin, changes| sender.send(Event::Cluster(origin, changes));
        let observer = Arc::new(Observer { metrics: metrics.clone(), store: store.clone() });
        let feed = Feed::start(environment, &node_name, source, background, observer, send)?;
        let host = host(&config, &args.proxy, hns, None);
        let state_file = StateFile::new(instance_lock::state_file(args.proxy.hns.choice()));
        let session = Session::new(hns.clone(), settings, host, args.hns_concurrency)
            .with_metrics(metrics.clone())
            .with_history(history.clone())
            .with_services(services.clone(), explanations.clone())
            .with_probed_services(args.probe.services.clone());
        let host_local = HostLocal::new(args.proxy.host_local_dir.clone(), args.proxy.hns.choice());
        let mut session = session.with_state_file(state_file).with_host_local(host_local);
        if let Some(before) = before {
            session.inherit(before);
        }
        info!("{}", session.description());
        store.publish_start(session.status());
        let notifications = Notifications::new(hns.hcn(), events.clone());
        Ok(Self {
            context,
            config,
            session,
            feed,
            next_audit: Duration::ZERO,
            notifications,
            reload: None,
            configuration_error: None,
            outage: None,
            was_in_sync: false,
            explained_at: Duration::ZERO,
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Runs until shutdown, or until there is another configuration.
    ///
    /// # Errors
    /// If the Node has changed so that the process has to be restarted.
    pub fn run(&mut self) -> Result<Exit, CommandError> {
        // Events that were queued before this loop was built go first, too.
        let mut due = Duration::ZERO;
        loop {
            // What was queued while the last tick was busy with HNS is programmed in one tick.
            let events = self.context.events.take(self.feed.origin(), self.wait_until(due));
            if events.shutdown {
                return Ok(Exit::Shutdown);
            }
            if events.is_empty() && self.session.now() < due {
                self.explain_some();
                continue;
            }
            self.handle(events);
            // The tick would program an outdated configuration.
            if let Some(reload) = self.reload.take() {
                return Ok(Exit::Reload(reload));
            }
            due = self.tick()?;
            // Continuous changes must not keep the others from being explained.
            if self.session.now() >= self.explained_at + EXPLAIN_INTERVAL && self.session.has_outdated_explanations() {
                self.explain_some();
            }
        }
    }

    /// How long to wait for events.
    fn wait_until(&self, due: Duration) -> Duration {
        let wait = due.saturating_sub(self.session.now());
        wait.min(if self.session.has_outdated_explanations() { EXPLAIN_INTERVAL } else { CONFIRM_INTERVAL })
    }

    fn explain_some(&mut self) {
        self.explained_at = self.session.now();
        self.session.explain_some(self.context.store.now().elapsed, EXPLAINED_AT_ONCE);
    }

    fn handle(&mut self, events: Events) {
        let Events { shutdown: _, cluster, configuration, notifications, observations, probed } = events;
        self.feed.apply(cluster, &mut self.session);
        self.record_outage();
        notifications.into_iter().for_each(|event| self.handle_notification(event));
        configuration.into_iter().for_each(|change| self.handle_configuration(change));
        probed.into_iter().for_each(|report| self.session.record_probe(report));
        observations.into_iter().for_each(|request| self.answer(request));
    }

    /// Answers, unless the client has disconnected. It may also disconnect meanwhile.
    fn answer(&self, ObservationRequest(reply): ObservationRequest) {
        if !reply.is_closed() {
            let _ = reply.send(self.session.observation().map(Box::new));
        }
    }

    /// Compares the configuration file with the configuration in use, which only this loop knows: one that the file asked for may have been
    /// rejected.
    fn handle_configuration(&mut self, change: config::Change) {
        match (change, &mut self.reload) {
            (config::Change::Valid(config), _) if *config == self.config => {
                self.reload = None;
                if self.configuration_error.take().is_some() {
                    info!("invalid configuration file: resolved");
                    self.record_configuration(None, "invalid configuration file: resolved");
                }
            }
            // An earlier error stays until the reload succeeds.
            (config::Change::Valid(config), _) => self.reload = Some(Reload { config, file_error: None }),
            (config::Change::Invalid(error), Some(reload)) => reload.file_error = Some(error),
            (config::Change::Invalid(error), None) => self.reject_configuration(error),
        }
    }

    /// Keeps the configuration in use. The status has the error until the file is valid.
    pub fn reject_configuration(&mut self, error: String) {
        warn!("{error}; keeping the previous configuration");
        let message = format!("{error}; keeping the previous configuration");
        self.record_configuration(Some(error.clone()), &message);
        self.configuration_error = Some(error);
    }

    /// Records that the configuration has changed, or why it has not.
    pub fn record_configuration(&self, error: Option<String>, message: &str) {
        self.context.history.record(&Record::new(HistoryEvent::Configuration { error }, message));
    }

    /// Records that the API server has become unavailable, or is available again.
    fn record_outage(&mut self) {
        let outage = self.feed.outage().cloned();
        if outage == self.outage {
            return;
        }
        let message = match &outage {
            Some(error) => format!("API server unavailable: {error}"),
            None => "API server unavailable: resolved".to_owned(),
        };
        let event = HistoryEvent::ApiServer { available: outage.is_none(), error: outage.clone() };
        self.context.history.record(&Record::new(event, message));
        self.outage = outage;
    }

    /// Does what is due and publishes the status, if that is due. Returns when more is due.
    fn tick(&mut self) -> Result<Duration, CommandError> {
        let Advance { waiting_for_node, next, is_status_due } = self.advance()?;
        // After a stop, reads fail without a call, which is no condition of HNS.
        if self.context.hns.is_stopped() {
            return Ok(next);
        }
        if !is_status_due {
            self.context.store.part_programmed();
            return Ok(next);
        }
        let cluster_outage = self.feed.outage().cloned();
        let configuration_error = self.configuration_error.clone();
        let insecure_skip_tls_verify = self.feed.insecure_skip_tls_verify();
        let file_reads = self.feed.file_reads();
        let elapsed = self.context.store.now().elapsed;
        let load_balancer_pending_since = self.session.pending_age().map(|age| elapsed.saturating_sub(age));
        let status = Status {
            waiting_for_node,
            deleted_node: self.feed.deleted_node().map(str::to_owned),
            cluster_outage,
            insecure_skip_tls_verify,
            file_reads,
            load_balancer_pending_since,
            configuration_error,
            ..self.session.status()
        };
        if !self.was_in_sync && status.unready.is_empty() {
            self.was_in_sync = true;
            let Counts { calls, writes } = self.session.counts();
            info!(native_calls = calls, writes, "HNS in sync");
        }
        // Before the status, so that a node that is in sync has its explanations, apart from a start with many Services.
        self.session.explain_changed(elapsed, EXPLAINED_AT_ONCE);
        self.context.store.publish(status);
        Ok(next)
    }

    /// Does what is due.
    fn advance(&mut self) -> Result<Advance, CommandError> {
        let Self { context: Context { args, hns, store, events, .. }, config, session, feed, .. } = self;
        let environment = Environment { args: &args.proxy, config, hns };
        if let Readiness::Waiting(what, until) = feed.readiness(environment, session)? {
            let waiting_for_node = Some(format!("{what} {}", feed.node_name()));
            return Ok(Advance { waiting_for_node, ..Advance::until(until.unwrap_or(Duration::MAX)) });
        }
        store.run_started();
        if !session.has_complete_cluster() {
            // Ids can only be compared with the desired state, which needs the complete cluster. An audit before that would have to read every
            // object.
            return Ok(Advance::until(Duration::MAX));
        }
        if session.now() >= self.next_audit {
            // The first audit takes long on a large host, and may hang: what is known before it is published.
            if self.next_audit.is_zero() {
                session.list_services();
                store.publish_progress(session.status());
            }
            let audit = session.audit_step();
            // A paused audit goes on in the next tick, after the changes that have arrived by then.
            if audit != AuditProgress::Paused {
                self.next_audit = session.now() + args.hns_audit_interval;
            }
            // While HNS is unavailable, a subscription would fail too.
            if audit == AuditProgress::Complete {
                self.notifications.subscribe();
            }
        }
        // A write of the run may hang: what it is about to change is published before.
        session.take_changes();
        session.explain_changed(store.now().elapsed, EXPLAINED_BEFORE_RUN);
        let Ran { next, is_status_due } = session.run(&|| events.interrupts());
        let next = match next {
            Next::At(time) => time.min(self.next_audit),
            Next::Idle => self.next_audit,
        };
        Ok(Advance { is_status_due, ..Advance::until(next) })
    }

    /// Moves the next audit forward if our objects may be lost, or a local backend may have its endpoint now.
    fn handle_notification(&mut self, event: HnsEvent) {
        debug!(?event, "HNS notification");
        match event {
            HnsEvent::NetworkCreate | HnsEvent::NetworkDelete | HnsEvent::EndpointAttached => {}
            HnsEvent::ServiceDisconnect => {
                self.notifications.disconnected();
                self.session.record_disconnect();
            }
            _ => return,
        }
        self.next_audit = self.next_audit.min(self.session.now() + NOTIFICATION_SETTLE);
    }
}
