//! Keeps HNS in step for as long as the process lives: follows the cluster, looks every few seconds whether others have changed HNS, and
//! begins anew when the configuration file asks for something else. Beginning anew touches nothing that HNS holds as it should.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use hcn::{Counts, Event as HnsEvent, Subscription};
use proxy::Next;
use tracing::{debug, info, warn};

use super::feed::Feed;
use super::{Event, Events};
use crate::cli::{RunArgs, resolve};
use crate::commands::CommandError;
use crate::config::{self, Change, Config};
use crate::hns::Hns;
use crate::serve::{self, Servers};
use crate::status::Board;
use crate::sync::{Session, chain};

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
    let mut servers = serve(config, hns, events)?;
    let mut keeper = Keeper::new(args, config, hns, events)?;
    loop {
        let wake = keeper.turn();
        match received.recv_timeout(wake.saturating_sub(keeper.session.now())) {
            Ok(Event::FilesChanged) => keeper.feed.changed(keeper.session.now()),
            Ok(Event::Hns(event)) => keeper.note(event),
            Ok(Event::Config(Change::Invalid(error))) => {
                warn!("{error}; the configuration stays as it was");
            }
            Ok(Event::Config(Change::Valid(config))) => match Keeper::new(args, &config, hns, events) {
                Ok(new) => {
                    info!("the configuration has changed; HNS is looked at anew, and keeps what it holds");
                    keeper = new;
                    // The addresses may be the same: they have to be free first.
                    drop(servers);
                    servers = serve(&config, hns, events)?;
                }
                Err(error) => warn!("{}; the configuration stays as it was", chain(&error)),
            },
            Ok(Event::Question(question)) => question.answer(|service| keeper.session.explain(service)),
            Ok(Event::ListenFailed(error)) => return Err(error.into()),
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => {
                info!("ended; HNS keeps what it holds");
                return Ok(());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Begins to answer over HTTP.
fn serve(config: &Config, hns: &Hns, events: &Events) -> Result<Servers, CommandError> {
    let (questions, failures) = (events.clone(), events.clone());
    let proxy = serve::Proxy {
        board: events.board.clone(),
        ask: Box::new(move |question| questions.send(Event::Question(question))),
        overdue: Box::new(hns.overdue_calls()),
    };
    let failed = move |error| failures.send(Event::ListenFailed(error));
    Ok(Servers::start(serve::Settings::of(config), proxy, failed)?)
}

/// One configuration at work.
struct Keeper<'a> {
    session: Session<'a>,
    feed: Feed,
    interval: Duration,
    next_audit: Duration,
    notices: Notices<'a>,
    board: Arc<Board>,
    /// Whether HNS has held all that it should before.
    arrived: bool,
}

impl<'a> Keeper<'a> {
    fn new(args: &RunArgs, config: &Config, hns: &'a Hns, events: &Events) -> Result<Self, CommandError> {
        let mut feed = Feed::open(&args.proxy.source, events)?;
        let (settings, host) = resolve(config, &args.proxy, hns, &feed.catalog())?;
        let mut session = Session::new(hns, settings, host, args.hns_concurrency);
        info!("{}", session.note());
        feed.load(&mut session);
        let notices = Notices { hns, events: events.clone(), subscription: None, offered: true };
        let board = events.board.clone();
        board.started();
        let interval = args.hns_audit_interval;
        Ok(Self { session, feed, interval, next_audit: Duration::ZERO, notices, board, arrived: false })
    }

    /// Does what is due, and answers when there is more to do.
    fn turn(&mut self) -> Duration {
        let Self { session, feed, board, .. } = self;
        feed.turn(session);
        if feed.due().is_none() {
            board.begun();
        }
        if session.now() >= self.next_audit {
            if session.audit() {
                self.notices.subscribe();
            }
            self.next_audit = session.now() + self.interval;
        }
        let next = match session.run() {
            Next::At(time) => Some(time),
            Next::Idle => None,
        };
        if !self.arrived && session.is_converged() {
            self.arrived = true;
            let Counts { calls, writes } = self.notices.hns.counts();
            info!("HNS holds all that it should, after {calls} native calls, {writes} writes");
        }
        board.publish(session.status());
        [next, feed.due()].into_iter().flatten().fold(self.next_audit, Duration::min)
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
