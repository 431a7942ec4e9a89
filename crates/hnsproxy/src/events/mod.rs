//! Events: what cluster administrators are told where they look, on Services and on the Node.
//!
//! They are sent in the background; nothing waits for it. What lasts is taken from the [`StatusStore`], what happens is told to a
//! [`Recorder`]. Without an API server there is none of this: the log says the same.

mod condition;
mod document;
mod herald;
mod occurrence;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Method, Request};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use crate::background::{Background, Task};
use crate::error_chain::chain;
use crate::metrics::Metrics;
use crate::source::cluster::Access;
use crate::status::StatusStore;
use herald::{Herald, Tale};
pub use occurrence::{Occurrence, Regarding, Severity};

/// How often it is looked what lasts.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a request may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How often one that the server does not answer is sent, and how long after.
const TRIES: usize = 12;
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How long the end of the program waits for Events to be sent.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How many occurrences may wait to be looked at.
const WAITING: usize = 256;

/// Who reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporter {
    /// The name of the Node.
    pub node_name: String,
    /// What the system calls this host.
    pub host_name: String,
}

/// Takes what happens, from any thread. With nobody to tell, it is forgotten.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Option<mpsc::Sender<Occurrence>>);

impl Recorder {
    /// Has something told, unless more waits than can be told.
    pub fn record(&self, occurrence: Occurrence) {
        if let Some(sender) = &self.0 {
            // What is lost here was logged by who tells it.
            let _ = sender.try_send(occurrence);
        }
    }
}

/// What was told, and is to be: it outlives a change of the configuration, after which nothing is told a second time. Clones are one and
/// the same.
#[derive(Debug, Clone, Default)]
pub struct Told(Arc<Mutex<Herald>>);

impl Told {
    fn herald(&self) -> MutexGuard<'_, Herald> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends Events until it is dropped, and then what it has by then.
#[derive(Debug)]
pub struct Sending {
    recorder: Recorder,
    _task: Task,
}

impl Sending {
    /// Begins to send.
    pub fn start(
        background: &Background,
        access: Arc<Access>,
        reporter: Reporter,
        store: Arc<StatusStore>,
        metrics: Arc<Metrics>,
        told: Told,
    ) -> Self {
        let (sender, received) = mpsc::channel(WAITING);
        let task = background.spawn(move |stopped| async move {
            let mut sender = Sender { access, reporter, metrics, refused: None };
            let mut desk = Desk { told, received, store };
            tokio::select! {
                () = desk.keep(&mut sender) => {}
                // Dropped, not sent: the error is the message.
                _ = stopped => {}
            }
            // What is not sent by then was logged.
            let _ = timeout(LAST_WORDS, desk.send(&mut sender)).await;
        });
        Self { recorder: Recorder(Some(sender)), _task: task }
    }

    /// Takes what happens.
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }
}

/// What is to be sent.
struct Desk {
    told: Told,
    received: mpsc::Receiver<Occurrence>,
    store: Arc<StatusStore>,
}

impl Desk {
    /// Sends what comes, for ever.
    async fn keep(&mut self, sender: &mut Sender) {
        let mut status = self.store.subscribe();
        loop {
            let conditions = condition::of(&status.borrow_and_update());
            let now = self.store.snapshot().now.elapsed;
            self.told.herald().conditions(conditions, now);
            self.send(sender).await;
            sleep(PAUSE).await;
            let now = self.store.snapshot().now.elapsed;
            let due = self.told.herald().due(now).map_or(Duration::MAX, |due| due.saturating_sub(now));
            tokio::select! {
                changed = status.changed() => if changed.is_err() { return },
                Some(occurrence) = self.received.recv() => self.told.herald().happened(occurrence),
                () = sleep(due) => {}
            }
        }
    }

    /// Sends what may be sent now.
    async fn send(&mut self, sender: &mut Sender) {
        while let Ok(occurrence) = self.received.try_recv() {
            self.told.herald().happened(occurrence);
        }
        sender.metrics.events("dropped", self.told.herald().take_dropped());
        while let Some(tale) = {
            let now = self.store.snapshot().now;
            let number = u64::try_from(now.wall.as_nanosecond()).unwrap_or_default();
            self.told.herald().next(now.elapsed, number)
        } {
            sender.tell(&tale).await;
        }
    }
}

/// Carries Events to the API server.
struct Sender {
    access: Arc<Access>,
    reporter: Reporter,
    metrics: Arc<Metrics>,
    /// What the server last said against Events.
    refused: Option<String>,
}

/// What became of a request.
enum Answer {
    Taken,
    /// There is no such Event, any more.
    Absent,
    Refused(String),
    None(String),
}

impl Sender {
    /// Tells one thing, with patience for a server that does not answer.
    async fn tell(&mut self, tale: &Tale) {
        for _ in 0..TRIES {
            match self.try_to_tell(tale).await {
                Answer::Taken => {
                    self.refused = None;
                    return self.metrics.events("sent", 1);
                }
                Answer::Refused(why) => {
                    if self.refused.as_ref() != Some(&why) {
                        warn!("the API server takes no Events: {why}; the role system:node-proxier has what it takes");
                        self.refused = Some(why);
                    }
                    break;
                }
                Answer::None(why) => debug!("an Event could not be sent, and is sent again: {why}"),
                Answer::Absent => {}
            }
            sleep(AGAIN_AFTER).await;
        }
        self.metrics.events("failed", 1);
    }

    async fn try_to_tell(&mut self, tale: &Tale) -> Answer {
        let now = Timestamp::now();
        let (namespace, name) = document::place(tale, &self.reporter);
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        if let Some(count) = tale.again {
            let change = document::again(count, now);
            match self
                .request(Method::PATCH, &format!("{path}/{name}"), "application/strategic-merge-patch+json", &change)
                .await
            {
                // The server keeps Events for an hour or so.
                Answer::Absent => {}
                answer => return answer,
            }
        }
        let event = document::whole(tale, &self.reporter, now);
        match self.request(Method::POST, &path, "application/json", &event).await {
            Answer::Absent => Answer::Refused(format!("there is no namespace {namespace}")),
            answer => answer,
        }
    }

    async fn request(&mut self, method: Method, path: &str, content_type: &str, body: &Value) -> Answer {
        let (client, generation) = match self.access.client().await {
            Ok(client) => client,
            Err(error) => return Answer::None(chain(&error)),
        };
        let asked = method.clone();
        let request = Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, content_type);
        let Ok(request) = request.body(body.to_string().into_bytes()) else {
            return Answer::Refused("the request makes no sense".to_owned());
        };
        let begun = Instant::now();
        let answered = timeout(ANSWER, client.request_text(request)).await;
        let code = match &answered {
            // What it answers to those that it takes.
            Ok(Ok(_)) => Some(if asked == Method::POST { 201 } else { 200 }),
            Ok(Err(kube::Error::Api(status))) => Some(status.code),
            Ok(Err(_)) | Err(_) => None,
        };
        self.metrics.rest_request(self.access.host(), asked.as_str(), code, begun.elapsed());
        match answered {
            Ok(Ok(_)) => Answer::Taken,
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Answer::Absent,
            // A try that seemed to fail has done its work.
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => Answer::Taken,
            Ok(Err(kube::Error::Api(status))) if status.code == 401 => {
                self.access.renew(generation).await;
                Answer::None(status.message)
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 429 || status.code >= 500 => {
                Answer::None(status.message)
            }
            Ok(Err(kube::Error::Api(status))) => Answer::Refused(status.message),
            Ok(Err(error)) => Answer::None(chain(&error)),
            Err(_) => Answer::None("no answer".to_owned()),
        }
    }
}
