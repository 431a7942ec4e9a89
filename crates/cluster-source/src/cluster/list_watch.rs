//! Runs the reflectors of all kinds over one connection: sends their requests, waits between retries, and reports when an outage begins
//! and is resolved.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::access::Access;
use super::backoff::Backoff;
use super::connection::{Connection, Lines, WatchRead};
use super::decode;
use super::kind::{Kind, Nodes, Services, Slices};
use super::object::Event;
use super::outage::{Outage, OutageTracker, SETTLE};
use super::rate_limiter::RateLimiter;
use super::reflector::Reflector;
use super::request::Request;
use super::request_error::RequestError;
use super::request_observer::RequestObserver;
use super::silence::{SilenceLimit, WatchSilence};
use crate::change::Change;

/// After a watch that lasted this long, the next one begins at once. After a shorter one, the reflector backs off, so that a server that
/// ends watches immediately is not flooded with requests.
const HEALTHY_WATCH: Duration = Duration::from_secs(10);
/// How many errors in a row are answered by another request at once. More would be a loop without a wait, for example of lists whose
/// watches expire immediately.
const MAX_AT_ONCE: u32 = 5;
/// The wait before an unconfirmed list is requested again, so that a proxy or server that fails for a moment does not answer both times.
const CONFIRM_DELAY: Duration = Duration::from_millis(500);

/// Lists and watches a cluster for the proxy of a node, and emits batches of changes, until the future is dropped. An unavailable
/// API server is not an error: requests are retried until it is available.
///
/// The future is not `Send`, and needs a tokio runtime with a timer, I/O and blocking threads.
pub async fn list_watch(
    access: Arc<Access>,
    node_name: &str,
    observer: Arc<dyn RequestObserver>,
    emit: impl Fn(Vec<Change>) + 'static,
) {
    let options = access.options();
    let rate_limiter = RateLimiter::new(options.qps, options.burst);
    let (stream_lists, watch_timeout) = (options.stream_lists, options.watch_timeout);
    let response_timeout = options.response_timeout;
    let list_watch = ListWatch {
        connection: Connection::new(access, rate_limiter, observer.clone()),
        observer,
        emit: Box::new(emit),
        stream_lists,
        watch_timeout,
        response_timeout,
        outage: RefCell::default(),
        recovered: Notify::new(),
    };
    tokio::join!(
        list_watch.run::<Services>(node_name),
        list_watch.run::<Slices>(node_name),
        list_watch.run::<Nodes>(node_name),
        list_watch.settle_outages(),
    );
}

/// State shared by the reflectors.
struct ListWatch {
    connection: Connection,
    observer: Arc<dyn RequestObserver>,
    emit: Box<dyn Fn(Vec<Change>)>,
    stream_lists: bool,
    watch_timeout: Duration,
    response_timeout: Duration,
    outage: RefCell<OutageTracker>,
    /// Notified when the last failing reflector has recovered.
    recovered: Notify,
}

/// How a successful response ended.
enum Ended {
    List,
    /// The list has to be confirmed by another one.
    Unconfirmed,
    /// The server ended the watch, or sent nothing for too long, after this time.
    Watch(Duration),
}

/// The list/watch of one kind.
struct Progress<K: Kind> {
    reflector: Reflector<K>,
    backoff: Backoff,
    /// The errors since the last watch event that were answered by another request at once.
    at_once: u32,
    /// Unlike that of the status, it counts while lists replace silent watches, although that is an outage.
    silence: WatchSilence,
    silence_limit: SilenceLimit,
}

impl<K: Kind> Progress<K> {
    fn unexplained_silence(&self, now: Duration) -> Duration {
        self.silence.unexplained(now).unwrap_or_default()
    }
}

impl ListWatch {
    async fn run<K: Kind>(&self, node_name: &str) {
        let reflector = Reflector::<K>::new(node_name, self.stream_lists);
        let mut progress = Progress {
            reflector,
            backoff: Backoff::default(),
            at_once: 0,
            silence: WatchSilence::default(),
            silence_limit: SilenceLimit::new(self.watch_timeout, fastrand::f64()),
        };
        loop {
            let silent_for = progress.unexplained_silence(self.connection.now());
            // Before each request, and not only after a watch that has received nothing: a watch may also end by an error, again and again. That
            // the server answers requests in between does not show what the watches miss.
            let is_silent = progress.reflector.is_complete() && silent_for >= progress.silence_limit.get();
            let result =
                if is_silent { Err(RequestError::Silent(silent_for)) } else { self.request(&mut progress).await };
            let Progress { reflector, backoff, at_once: in_a_row, silence, .. } = &mut progress;
            let wait = match result {
                Ok(Ended::List) => Duration::ZERO,
                Ok(Ended::Unconfirmed) => CONFIRM_DELAY,
                // The server ends each healthy watch after its timeout, so this is not a failure.
                Ok(Ended::Watch(lasted)) if lasted >= HEALTHY_WATCH => Duration::ZERO,
                Ok(Ended::Watch(_)) => backoff.next(fastrand::f64(), None),
                Err(error) => {
                    // A different request follows, for example a relist: waiting would only delay the next changes.
                    let at_once = reflector.on_error(&error) && *in_a_row < MAX_AT_ONCE;
                    *in_a_row += u32::from(at_once);
                    // Errors that a healthy server also causes are an outage only if they repeat.
                    let is_ordinary = at_once || error.is_ordinary() && backoff.has_at_most_one_failure();
                    self.failed::<K>(&error, is_silent || !is_ordinary);
                    if !is_silent && self.outage.borrow().explains(K::NAME) {
                        silence.set_outage(true, self.connection.now());
                    }
                    let wait = backoff.next(fastrand::f64(), error.retry_after());
                    if at_once { Duration::ZERO } else { wait }
                }
            };
            sleep(wait).await;
        }
    }

    /// Sends the next request, and handles its response.
    async fn request<K: Kind>(&self, progress: &mut Progress<K>) -> Result<Ended, RequestError> {
        let request = progress.reflector.request();
        let response = self.connection.send::<K>(&request, progress.reflector.selection()).await?;
        match request {
            Request::List { limit, .. } => {
                let page = decode::page::<K>(&response.page(limit).await?)?;
                self.emit(progress.reflector.on_page(page)?);
                if progress.reflector.is_unconfirmed() {
                    return Ok(self.unconfirmed::<K>());
                }
                // A page that is not the last one proves nothing: a list may have pages without end.
                if progress.reflector.is_complete() {
                    self.received(progress);
                    if !progress.reflector.receives_events() {
                        progress.silence_limit.listed(progress.reflector.last_list_changed(), fastrand::f64());
                    }
                }
                self.succeeded(progress);
                Ok(Ended::List)
            }
            Request::Verify { .. } => {
                let page = decode::page::<K>(&response.page(1).await?)?;
                progress.reflector.on_verified(&page)?;
                Ok(Ended::List)
            }
            Request::StreamList | Request::Watch(_) => {
                // The server has accepted the watch. On a quiet cluster no event may follow for minutes.
                if request != Request::StreamList {
                    self.succeeded(progress);
                }
                let timeout = self.watch_timeout.mul_f64(1.0 + fastrand::f64() / 3.0);
                self.watch(progress, response.lines(), timeout).await
            }
        }
    }

    /// Handles the events of a watch until it ends, or receives nothing for a time.
    async fn watch<K: Kind>(
        &self,
        progress: &mut Progress<K>,
        mut lines: Lines,
        timeout: Duration,
    ) -> Result<Ended, RequestError> {
        let begin = self.connection.now();
        let mut received = false;
        loop {
            // The objects of a streamed list follow each other, as the chunks of a page do; changes may take any time. The watch ends when a list
            // is due.
            let limit = if progress.reflector.is_complete() {
                progress.silence_limit.get().saturating_sub(progress.unexplained_silence(self.connection.now()))
            } else {
                self.response_timeout
            };
            let timeout = limit.min(timeout);
            let read = lines.next(timeout).await;
            let now = self.connection.now();
            let lasted = now.saturating_sub(begin);
            if lasted >= HEALTHY_WATCH {
                progress.backoff.reset();
            }
            let read = read?;
            let is_idle = matches!(read, WatchRead::Idle);
            match read {
                WatchRead::Line(line) => {
                    let event = decode::event::<K>(line)?;
                    let is_change = progress.reflector.is_complete();
                    // An event of an unknown type says nothing of the objects.
                    let is_known = !matches!(event, Event::Unknown);
                    self.emit(progress.reflector.on_event(event)?);
                    if progress.reflector.is_unconfirmed() {
                        return Ok(self.unconfirmed::<K>());
                    }
                    progress.backoff.reset();
                    received |= is_known;
                    if is_change {
                        progress.at_once = 0;
                    }
                    if progress.reflector.is_complete() && is_known {
                        progress.silence_limit.reset();
                        self.received(progress);
                        self.succeeded(progress);
                    }
                }
                // A stream that stops within the initial list is broken.
                WatchRead::Idle if !progress.reflector.is_complete() => return Err(RequestError::Timeout),
                WatchRead::End if !progress.reflector.is_complete() => return Err(RequestError::ListEnded),
                // After the list, the connection may be dead or the cluster quiet: a new watch is right for both, unless the silence
                // has lasted for too long.
                WatchRead::Idle | WatchRead::End => {
                    progress.reflector.on_end(received && !is_idle);
                    return Ok(Ended::Watch(lasted));
                }
            }
        }
    }

    fn received<K: Kind>(&self, progress: &mut Progress<K>) {
        progress.silence.received(self.connection.now());
        self.observer.current(K::NAME);
    }

    fn unconfirmed<K: Kind>(&self) -> Ended {
        info!(resource = K::RESOURCE, "list lacks most of the known objects, or is older; listing again");
        Ended::Unconfirmed
    }

    fn failed<K: Kind>(&self, error: &RequestError, is_outage: bool) {
        let reason = error.describe(&self.connection.server(), K::RESOURCE);
        debug!(resource = K::RESOURCE, "request failed: {reason}");
        if is_outage {
            let now = self.connection.now();
            let outage = self.outage.borrow_mut().failed(K::NAME, reason, now, error.grace_period());
            self.report(outage);
            // Known until a request succeeds, although the next reason may not be reported yet.
            if self.outage.borrow().explains(K::NAME) {
                self.observer.in_outage(K::NAME, true);
            }
        }
    }

    /// A request for a kind succeeded. While watches receive nothing, lists and accepted watches do not end the outage.
    fn succeeded<K: Kind>(&self, progress: &mut Progress<K>) {
        progress.silence.set_outage(false, self.connection.now());
        if !progress.reflector.receives_events() {
            return;
        }
        self.observer.in_outage(K::NAME, false);
        if self.outage.borrow_mut().succeeded(K::NAME, self.connection.now()) {
            self.recovered.notify_one();
        }
    }

    /// Reports outages as resolved, once no request has failed for [`SETTLE`].
    async fn settle_outages(&self) {
        loop {
            self.recovered.notified().await;
            sleep(SETTLE).await;
            let outage = self.outage.borrow_mut().settle(self.connection.now());
            self.report(outage);
        }
    }

    fn report(&self, outage: Option<Outage>) {
        match outage {
            Some(Outage::Began(reason)) => {
                warn!("API server unavailable, keeping the last known state of the cluster: {reason}");
                self.emit(vec![Change::Outage(Some(reason))]);
            }
            Some(Outage::Resolved) => {
                info!(server = self.connection.server(), "API server unavailable: resolved");
                self.emit(vec![Change::Outage(None)]);
            }
            None => {}
        }
    }

    fn emit(&self, changes: Vec<Change>) {
        for change in &changes {
            match change {
                Change::ResetServices(services) => info!(services = services.len(), "listed Services"),
                Change::ResetSlices(slices) => info!(slices = slices.len(), "listed EndpointSlices"),
                _ => {}
            }
        }
        if !changes.is_empty() {
            (self.emit)(changes);
        }
    }
}
