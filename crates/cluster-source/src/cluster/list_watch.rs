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
use super::outage::{Outage, OutageTracker, SETTLE};
use super::rate_limiter::RateLimiter;
use super::reflector::Reflector;
use super::request::Request;
use super::request_error::RequestError;
use super::request_observer::RequestObserver;
use crate::change::Change;

/// After a watch that lasted this long, the next one begins at once. After a shorter one, the reflector backs off, so that a server that
/// ends watches immediately is not flooded with requests.
const HEALTHY_WATCH: Duration = Duration::from_secs(10);

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
    let (rate_limiter, stream_lists) = (RateLimiter::new(options.qps, options.burst), options.stream_lists);
    let list_watch = ListWatch {
        connection: Connection::new(access, rate_limiter, observer),
        emit: Box::new(emit),
        stream_lists,
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
    emit: Box<dyn Fn(Vec<Change>)>,
    stream_lists: bool,
    outage: RefCell<OutageTracker>,
    /// Notified when the last failing reflector has recovered.
    recovered: Notify,
}

/// How a successful response ended.
enum Ended {
    List,
    /// The server ended the watch, or sent nothing for too long, after this time.
    Watch(Duration),
}

impl ListWatch {
    async fn run<K: Kind>(&self, node_name: &str) {
        let mut reflector = Reflector::<K>::new(node_name, self.stream_lists);
        let mut backoff = Backoff::default();
        loop {
            let wait = match self.request(&mut reflector, &mut backoff).await {
                Ok(Ended::List) => Duration::ZERO,
                Ok(Ended::Watch(lasted)) => {
                    reflector.on_end();
                    // The server ends each healthy watch after its timeout, so this is not a failure.
                    if lasted >= HEALTHY_WATCH { Duration::ZERO } else { backoff.next(fastrand::f64(), None) }
                }
                Err(error) => {
                    // A different request follows, for example a relist: waiting would only delay the next changes.
                    let at_once = reflector.on_error(&error);
                    // Errors that a healthy server also causes are an outage only if they repeat.
                    let is_outage = !(at_once || error.is_ordinary() && backoff.has_at_most_one_failure());
                    self.failed::<K>(&error, is_outage);
                    let wait = backoff.next(fastrand::f64(), error.retry_after());
                    if at_once { Duration::ZERO } else { wait }
                }
            };
            sleep(wait).await;
        }
    }

    /// Sends the next request, and handles its response.
    async fn request<K: Kind>(
        &self,
        reflector: &mut Reflector<K>,
        backoff: &mut Backoff,
    ) -> Result<Ended, RequestError> {
        let request = reflector.request();
        let response = self.connection.send::<K>(&request, reflector.selection()).await?;
        match request {
            Request::List(_) => {
                let page = decode::page::<K>(&response.whole().await?)?;
                self.emit(reflector.on_page(page));
                self.succeeded::<K>();
                Ok(Ended::List)
            }
            Request::Verify(_) => {
                // The content does not matter, but the connection is reused only after the body was read.
                response.whole().await?;
                reflector.on_verified();
                Ok(Ended::List)
            }
            Request::StreamList | Request::Watch(_) => {
                // The server has accepted the watch. On a quiet cluster no event may follow for minutes.
                self.succeeded::<K>();
                self.watch(reflector, backoff, response.lines()).await
            }
        }
    }

    /// Handles the events of a watch until it ends.
    async fn watch<K: Kind>(
        &self,
        reflector: &mut Reflector<K>,
        backoff: &mut Backoff,
        mut lines: Lines,
    ) -> Result<Ended, RequestError> {
        let begin = self.connection.now();
        loop {
            let read = lines.next().await;
            let lasted = self.connection.now().saturating_sub(begin);
            if lasted >= HEALTHY_WATCH {
                backoff.reset();
            }
            match read? {
                WatchRead::Line(line) => {
                    let event = decode::event::<K>(line)?;
                    self.emit(reflector.on_event(event)?);
                    backoff.reset();
                }
                // A stream that stops within the initial list is broken. After the list, the connection may be dead or the cluster quiet: a new
                // watch is right for both.
                WatchRead::Idle if !reflector.is_complete() => return Err(RequestError::Timeout),
                WatchRead::Idle | WatchRead::End => return Ok(Ended::Watch(lasted)),
            }
        }
    }

    fn failed<K: Kind>(&self, error: &RequestError, is_outage: bool) {
        let reason = error.describe(self.connection.server(), K::RESOURCE);
        debug!(resource = K::RESOURCE, "request failed: {reason}");
        if is_outage {
            let now = self.connection.now();
            let outage = self.outage.borrow_mut().failed(K::NAME, reason, now, error.grace_period());
            self.report(outage);
        }
    }

    fn succeeded<K: Kind>(&self) {
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
