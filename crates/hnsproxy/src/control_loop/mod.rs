//! The control loop under one configuration: takes events, audits HNS at an interval, programs it, and publishes the status.

mod event;
mod notifications;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
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
use crate::hns::Hns;
use crate::metrics::Metrics;
use crate::session::{Audit, Session};
use crate::source::{Environment, Feed, Readiness, Source};
use crate::status::{Status, StatusStore};

pub use event::{Event, EventSender};

/// How long after an HNS notification the audit follows: a CNI creates the network or endpoint of a pod in several steps.
const NOTIFICATION_SETTLE: Duration = Duration::from_millis(200);

/// What a control loop shares with the rest of the process. It stays the same when the configuration changes.
#[derive(Clone)]
pub struct Context<'a> {
    pub args: &'a RunArgs,
    pub hns: Arc<Hns>,
    pub events: EventSender,
    pub store: Arc<StatusStore>,
    pub metrics: Arc<Metrics>,
    pub background: Background,
}

/// Why the loop returned.
pub enum Exit {
    Shutdown,
    /// The configuration file asks for another configuration.
    Reload(Box<Config>),
}

pub struct ControlLoop<'a> {
    context: Context<'a>,
    config: Config,
    session: Session,
    feed: Feed,
    next_audit: Duration,
    notifications: Notifications,
    /// Why the last change of the configuration file was not applied.
    configuration_error: Option<String>,
    /// Whether HNS has been in sync before.
    was_in_sync: bool,
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
        let Context { args, hns, events, store, metrics, background } = &context;
        let settings = settings(&config, &args.proxy, hns)?;
        let node_name = settings.node_name.clone();
        let environment = Environment { args: &args.proxy, config: &config, hns };
        let sender = events.clone();
        let send = move |origin, batch| sender.send(Event::Cluster(origin, batch));
        let mut feed = Feed::start(environment, &node_name, source, background, metrics, send)?;
        let host = host(&config, &args.proxy, hns, feed.initial_node());
        let mut session = Session::new(hns.clone(), settings, host, args.hns_concurrency).with_metrics(metrics.clone());
        if let Some(before) = before {
            session.take_over(before);
        }
        info!("{}", session.note());
        feed.load(&mut session);
        store.publish_start(session.status());
        let notifications = Notifications::new(hns.clone(), events.clone());
        Ok(Self {
            context,
            config,
            session,
            feed,
            next_audit: Duration::ZERO,
            notifications,
            configuration_error: None,
            was_in_sync: false,
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
    pub fn run(&mut self, received: &Receiver<Event>) -> Result<Exit, CommandError> {
        loop {
            let wake = self.tick()?;
            let mut next = match received.recv_timeout(wake.saturating_sub(self.session.now())) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Disconnected) => Some(Event::Shutdown),
                Err(RecvTimeoutError::Timeout) => None,
            };
            // What was queued while the last tick was busy with HNS is programmed in one tick.
            while let Some(event) = next {
                if let Some(exit) = self.handle(event) {
                    return Ok(exit);
                }
                next = received.try_recv().ok();
            }
        }
    }

    fn handle(&mut self, event: Event) -> Option<Exit> {
        match event {
            Event::Cluster(origin, batch) => self.feed.apply(&origin, batch, &mut self.session),
            Event::Hns(event) => self.handle_notification(event),
            Event::Config(config::Change::Invalid(error)) => self.reject_configuration(error),
            Event::Config(config::Change::Resolved) => {
                info!("invalid configuration file: resolved");
                self.configuration_error = None;
            }
            Event::Config(config::Change::Valid(config)) => return Some(Exit::Reload(config)),
            Event::Question(question) => question.answer(|service| self.session.explain(service)),
            Event::Shutdown => return Some(Exit::Shutdown),
        }
        None
    }

    /// Keeps the configuration in use, and reports why the file cannot replace it until it can.
    pub fn reject_configuration(&mut self, error: String) {
        warn!("{error}; keeping the previous configuration");
        self.configuration_error = Some(error);
    }

    /// Does what is due, publishes the status, and answers when more is due.
    fn tick(&mut self) -> Result<Duration, CommandError> {
        let (waiting_for, next) = self.advance()?;
        let cluster_outage = self.feed.outage().cloned();
        let configuration_error = self.configuration_error.clone();
        let status = Status { waiting_for, cluster_outage, configuration_error, ..self.session.status() };
        self.context.store.publish(status);
        Ok(next)
    }

    /// Does what is due. Answers what is waited for before anything is programmed, if anything, and when more is due.
    fn advance(&mut self) -> Result<(Option<String>, Duration), CommandError> {
        let Self { context: Context { args, hns, store, .. }, config, session, feed, .. } = self;
        let environment = Environment { args: &args.proxy, config, hns };
        if let Readiness::Waiting(what, until) = feed.readiness(environment, session)? {
            return Ok((Some(format!("{what} {}", feed.node_name())), until.unwrap_or(Duration::MAX)));
        }
        store.run_started();
        if !session.has_complete_cluster() {
            // The ids of objects show that they are right only where their desired state is known. An audit before that would have to read
            // every object.
            return Ok((None, Duration::MAX));
        }
        if session.now() >= self.next_audit {
            let audit = session.audit();
            // The second half follows in the next tick, after the changes that have come meanwhile.
            if audit != Audit::Half {
                self.next_audit = session.now() + args.hns_audit_interval;
            }
            // HNS that could not be read is not asked for more.
            if audit == Audit::Done {
                self.notifications.subscribe();
            }
        }
        let next = match session.run() {
            Next::At(time) => Some(time),
            Next::Idle => None,
        };
        if !self.was_in_sync && session.is_in_sync() {
            self.was_in_sync = true;
            let Counts { calls, writes } = session.counts();
            info!(native_calls = calls, writes, "HNS in sync");
        }
        Ok((None, next.map_or(self.next_audit, |next| next.min(self.next_audit))))
    }

    /// Audits sooner where a notification can mean that objects of ours are gone, or that a backend has got its endpoint.
    fn handle_notification(&mut self, event: HnsEvent) {
        debug!(?event, "HNS notification");
        match event {
            HnsEvent::NetworkCreate | HnsEvent::NetworkDelete | HnsEvent::EndpointAttached => {}
            HnsEvent::ServiceDisconnect => self.notifications.disconnected(),
            _ => return,
        }
        self.next_audit = self.next_audit.min(self.session.now() + NOTIFICATION_SETTLE);
    }
}
