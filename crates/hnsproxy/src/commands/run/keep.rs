//! Keeps HNS in step for as long as the process lives: follows the cluster, looks every few seconds whether others have changed HNS, and
//! begins anew when the configuration file asks for something else. Beginning anew touches nothing that HNS holds as it should.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use hcn::{Counts, Event as HnsEvent, Subscription};
use proxy::Next;
use tracing::{debug, info, warn};

use super::feed::{Feed, Place, Source, Turn};
use super::{Event, Events};
use crate::background::Task;
use crate::board::Board;
use crate::cli::{RunArgs, host, node_name, settings};
use crate::commands::CommandError;
use crate::commands::configure::say;
use crate::config::{self, Change, Config};
use crate::events::{Occurrence, Recorder, Regarding, Reporter, Sending, Severity, Told};
use crate::hns::Hns;
use crate::log;
use crate::serve;
use crate::status::Status;
use crate::sync::{Audit, Session, chain};

/// After HNS told of something, how long more is awaited: a CNI makes a pod in several steps.
const SETTLE: Duration = Duration::from_millis(200);

pub(super) fn main(
    args: &RunArgs,
    config: &Config,
    hns: &Hns,
    events: &Events,
    received: &Receiver<Event>,
) -> Result<(), CommandError> {
    let changed = events.clone();
    let told = move |change| changed.send(Event::Config(change));
    let _watcher = config::watch(args.proxy.kube_proxy.clone(), config.clone(), told)?;
    let calls = events.metrics.clone();
    hns.tell_calls(move |call| calls.hns_call(call));
    let told = Told::default();
    let source = Source::of(&args.proxy, config)?;
    let mut front = Front::start(config, hns, &source, events, &told)?;
    front.recorder.record(started());
    let mut keeper = Keeper::new(args, config.clone(), hns, &source, events, None)?;
    loop {
        let wake = keeper.turn()?;
        let mut next = match received.recv_timeout(wake.saturating_sub(keeper.session.now())) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Disconnected) => Some(Event::End),
            Err(RecvTimeoutError::Timeout) => None,
        };
        // What came while HNS was busy is one turn.
        while let Some(event) = next {
            match event {
                Event::FilesChanged => keeper.feed.files_changed(keeper.session.now()),
                Event::Cluster(origin, change) => keeper.feed.take(&origin, change, &mut keeper.session),
                Event::Hns(event) => keeper.note(event),
                Event::Config(Change::Invalid(error)) => {
                    warn!("{error}; the configuration stays as it was");
                    keeper.configuration_error = Some(error);
                }
                Event::Config(Change::Resolved) => {
                    info!("the configuration file is as it was, which is valid");
                    keeper.configuration_error = None;
                }
                Event::Config(Change::Valid(config)) => match keeper.succeeded(*config, events) {
                    Ok((new, source)) => {
                        info!("the configuration has changed; HNS is looked at anew, and keeps what it holds");
                        log_as(&new.config, &keeper.config);
                        keeper = new;
                        // The addresses may be the same: they have to be free first.
                        drop(front);
                        front = Front::start(&keeper.config, hns, &source, events, &told)?;
                    }
                    Err(error) => {
                        warn!("{}; the configuration stays as it was", chain(&error));
                        keeper.configuration_error = Some(chain(&error));
                    }
                },
                Event::Question(question) => question.answer(|service| keeper.session.explain(service)),
                Event::ListenFailed(error) => return Err(error.into()),
                Event::End => {
                    info!("ended; HNS keeps what it holds");
                    return Ok(());
                }
            }
            next = received.try_recv().ok();
        }
    }
}

/// Logs what is to be said of a new configuration, and from now on as much as it wants.
fn log_as(new: &Config, old: &Config) {
    if new.logging.verbosity != old.logging.verbosity {
        log::set_verbosity(new.logging.verbosity);
    }
    if new.logging.format != old.logging.format {
        warn!("the format of the log stays as it is until hnsproxy starts again");
    }
    say(&new.notes);
}

/// What tells others how things stand, under one configuration. It ends in this order.
struct Front {
    _serving: Task,
    recorder: Recorder,
    _sending: Option<Sending>,
}

impl Front {
    /// Begins; Events are sent only where the cluster is an API server's.
    fn start(config: &Config, hns: &Hns, source: &Source, events: &Events, told: &Told) -> Result<Self, CommandError> {
        let Events { board, metrics, background, .. } = events;
        let sending = match source {
            Source::Files(_) => None,
            Source::ApiServer(access) => {
                let host_name = gethostname::gethostname().to_string_lossy().into_owned();
                let reporter = Reporter { node_name: node_name(config, hns)?, host_name };
                let (board, metrics) = (board.clone(), metrics.clone());
                Some(Sending::start(background, access.clone(), reporter, board, metrics, told.clone()))
            }
        };
        let recorder = sending.as_ref().map(Sending::recorder).unwrap_or_default();
        let (questions, failures) = (events.clone(), events.clone());
        let proxy = serve::Proxy {
            board: board.clone(),
            metrics: metrics.clone(),
            recorder: recorder.clone(),
            ask: Box::new(move |question| questions.send(Event::Question(question))),
            overdue: Box::new(hns.overdue_calls()),
        };
        let failed = move |error| failures.send(Event::ListenFailed(error));
        let serving = serve::start(background, serve::Settings::of(config), proxy, failed);
        Ok(Self { _serving: serving, recorder, _sending: sending })
    }
}

/// What kube-proxy says when it begins.
fn started() -> Occurrence {
    let (regarding, severity) = (Regarding::Node, Severity::Normal);
    Occurrence { regarding, severity, reason: "Starting", action: "StartKubeProxy", note: String::new() }
}

/// One configuration at work.
struct Keeper<'a> {
    args: &'a RunArgs,
    config: Config,
    hns: &'a Hns,
    session: Session<'a>,
    feed: Feed,
    next_audit: Duration,
    notices: Notices<'a>,
    board: Arc<Board>,
    /// Why the last change of the configuration file was not applied.
    configuration_error: Option<String>,
    /// Whether HNS has held all that it should before.
    arrived: bool,
}

impl<'a> Keeper<'a> {
    /// Ready to begin, or to go on where one before it ends.
    fn new(
        args: &'a RunArgs,
        config: Config,
        hns: &'a Hns,
        source: &Source,
        events: &Events,
        before: Option<&Session<'_>>,
    ) -> Result<Self, CommandError> {
        let place = Place { args: &args.proxy, config: &config, hns };
        let settings = settings(&config, &args.proxy, hns)?;
        let mut feed = Feed::open(place, &settings.node_name, source, events)?;
        let host = host(&config, &args.proxy, hns, feed.node(&settings.node_name).as_ref());
        let mut session = Session::new(hns, settings, host, args.hns_concurrency);
        session.count_in(events.metrics.clone());
        if let Some(before) = before {
            session.succeed(before);
        }
        info!("{}", session.note());
        feed.load(&mut session);
        let notices = Notices { hns, events: events.clone(), subscription: None, offered: true };
        let board = events.board.clone();
        board.started(session.status());
        Ok(Self {
            args,
            config,
            hns,
            session,
            feed,
            next_audit: Duration::ZERO,
            notices,
            board,
            configuration_error: None,
            arrived: false,
        })
    }

    /// One of another configuration, and where its cluster comes from.
    fn succeeded(&self, config: Config, events: &Events) -> Result<(Self, Source), CommandError> {
        let source = Source::of(&self.args.proxy, &config)?;
        let new = Self::new(self.args, config, self.hns, &source, events, Some(&self.session))?;
        Ok((new, source))
    }

    /// Does what is due, says how things stand, and answers when there is more to do.
    fn turn(&mut self) -> Result<Duration, CommandError> {
        let (awaited, next) = self.advance()?;
        let cluster_trouble = self.feed.trouble();
        let configuration_error = self.configuration_error.clone();
        self.board.publish(Status { awaited, cluster_trouble, configuration_error, ..self.session.status() });
        Ok(next)
    }

    /// Does what is due, and answers what is waited for first, if anything, and when there is more to do.
    fn advance(&mut self) -> Result<(Option<String>, Duration), CommandError> {
        let Self { args, config, hns, session, feed, board, .. } = self;
        let due = match feed.turn(Place { args: &args.proxy, config, hns }, session)? {
            Turn::Ready(due) => due,
            Turn::Waits(what, until) => return Ok((Some(what), until.unwrap_or(Duration::MAX))),
        };
        if due.is_none() {
            board.begun();
        }
        if !session.knows_cluster() {
            // Ids tell what objects hold only to those who know what they should: looked at now, each would be read.
            return Ok((None, due.unwrap_or(Duration::MAX)));
        }
        if session.now() >= self.next_audit {
            let audit = session.audit();
            if audit != Audit::Half {
                self.next_audit = session.now() + args.hns_audit_interval;
            }
            if audit == Audit::Done {
                self.notices.subscribe();
            }
        }
        let next = match session.run() {
            Next::At(time) => Some(time),
            Next::Idle => None,
        };
        if !self.arrived && session.is_converged() {
            self.arrived = true;
            let Counts { calls, writes } = session.counts();
            info!("HNS holds all that it should, after {calls} native calls, {writes} writes");
        }
        Ok((None, [next, due].into_iter().flatten().fold(self.next_audit, Duration::min)))
    }

    /// Looks sooner where HNS told of something that may concern us.
    fn note(&mut self, event: HnsEvent) {
        debug!(?event, "HNS tells");
        match event {
            HnsEvent::NetworkCreate | HnsEvent::NetworkDelete | HnsEvent::EndpointAttached => {}
            HnsEvent::ServiceDisconnect => self.notices.subscription = None,
            _ => return,
        }
        self.next_audit = self.next_audit.min(self.session.now() + SETTLE);
    }
}

/// What HNS tells of its own accord, where it does.
struct Notices<'a> {
    hns: &'a Hns,
    events: Events,
    subscription: Option<Subscription>,
    offered: bool,
}

impl Notices<'_> {
    /// Asks to be told, unless that was done, or HNS does not offer it.
    fn subscribe(&mut self) {
        if self.subscription.is_some() || !self.offered {
            return;
        }
        let events = self.events.clone();
        let told = move |notification: hcn::Notification| events.send(Event::Hns(notification.event));
        match self.hns.hcn().subscribe(Box::new(told)) {
            Ok(subscription) => self.subscription = Some(subscription),
            Err(error) => {
                debug!("HNS tells nothing of its own accord: {}", chain(&error));
                self.offered = !matches!(error, hcn::Error::Missing { .. });
            }
        }
    }
}
