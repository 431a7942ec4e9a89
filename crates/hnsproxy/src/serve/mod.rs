//! What the program answers over HTTP: health checks, and at the address of metrics all that an operator may ask.
//!
//! It is answered in the background, which never touches HNS, from the [`Board`] that the thread that programs HNS keeps up to date. So it
//! is answered while HNS does not answer.

mod debug;
mod health;
mod listen;
mod node_ports;
mod pages;
mod status_api;
mod statusz;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use hcn::SlowCall;
use http::{HeaderName, HeaderValue, header};
use proxy::Explanation;
use proxy::model::ServiceName;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::{debug, info, warn};

use crate::background::{Background, Task};
use crate::board::Board;
use crate::config::Config;
use crate::events::{Occurrence, Recorder, Regarding, Severity};
use crate::metrics::{self, Metrics, Probe, Sample};
use crate::sync::chain;
use health::{HealthAnswer, answer};
use listen::{AGAIN_AFTER, Callers, Claim, Open, bind};

const NOSNIFF: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");
/// What listens for health checks, in messages.
const HEALTHZ: &str = "/healthz";
/// How many Services may be explained at a time: each takes the time of the thread that programs HNS.
const EXPLANATIONS: usize = 4;

/// A question to the thread that programs HNS.
#[derive(Debug)]
pub struct Question {
    /// The Service to explain.
    pub service: ServiceName,
    /// Takes the answer; none, if there is no such Service.
    pub reply: oneshot::Sender<Option<Box<Explanation>>>,
}

impl Question {
    /// Answers, unless whoever asked has given up.
    pub fn answer(self, explain: impl FnOnce(&ServiceName) -> Option<Explanation>) {
        if !self.reply.is_closed() {
            // He may give up while it is made.
            let _ = self.reply.send(explain(&self.service).map(Box::new));
        }
    }
}

/// An address could not be taken, and that is to end the program.
#[derive(Debug, thiserror::Error)]
#[error(
    "{what} can't listen at {address}; is another program there? Without --bind-address-hard-fail it is tried again"
)]
pub struct ListenError {
    /// What was to listen.
    pub what: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: std::io::Error,
}

/// What is answered where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where `/healthz` is; nowhere where it is switched off.
    pub healthz_address: Option<SocketAddr>,
    /// Where `/metrics` is.
    pub metrics_address: SocketAddr,
    /// Whether an address that is taken ends the program.
    pub hard_fail: bool,
    /// How long changes may wait before the program is not healthy.
    pub patience: Duration,
    /// The configuration, as `/configz` shows it.
    pub configuration: Value,
    /// The version that is reported as kube-proxy's.
    version: String,
    /// Every flag of kube-proxy with the value that counts.
    flags: Vec<(&'static str, String)>,
    /// Whether `/flagz`, `/statusz`, and what changes the program while it runs, are offered.
    flagz: bool,
    statusz: bool,
    profiling: bool,
    /// What the configuration means for metrics.
    facts: Vec<Sample>,
}

/// The way to the thread that programs HNS, and what may be known without it.
pub struct Proxy {
    /// How it stands.
    pub board: Arc<Board>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who is told what happens.
    pub recorder: Recorder,
    /// Hands questions over.
    pub ask: Box<dyn Fn(Question) + Send + Sync>,
    /// The call under way that takes longer than it may.
    pub overdue: Box<dyn Fn() -> Option<SlowCall> + Send + Sync>,
}

impl Settings {
    /// What a configuration says of it.
    pub fn of(config: &Config) -> Self {
        Self {
            healthz_address: config.healthz_address,
            metrics_address: config.metrics_address,
            hard_fail: config.bind_address_hard_fail,
            patience: config.sync_period * 2,
            configuration: config.to_v1alpha1(),
            version: config.reported_version.clone(),
            flags: config.flags(),
            flagz: config.gates.enabled("ComponentFlagz"),
            statusz: config.gates.enabled("ComponentStatusz"),
            profiling: config.profiling,
            facts: metrics::facts(config),
        }
    }
}

/// What all answers are made from.
struct Shared {
    settings: Settings,
    proxy: Proxy,
    turns: Semaphore,
    /// How often it was asked at the address of metrics whether anybody is there.
    pings: AtomicU64,
}

/// Begins to answer, until the task is dropped: all addresses are free then. `fail` hands over what is to end the program.
pub fn start(
    background: &Background,
    settings: Settings,
    proxy: Proxy,
    fail: impl Fn(ListenError) + Send + Sync + 'static,
) -> Task {
    let shared = Arc::new(Shared { settings, proxy, turns: Semaphore::new(EXPLANATIONS), pings: AtomicU64::new(0) });
    background.spawn(move |stopped| async move {
        let (claim, mut free) = mpsc::channel(1);
        tokio::select! {
            () = serve(shared, fail, claim) => {}
            // Dropped, not sent: the error is the message.
            _ = stopped => {}
        }
        free.recv().await;
    })
}

async fn serve(shared: Arc<Shared>, fail: impl Fn(ListenError), claim: Claim) {
    let Settings { healthz_address, metrics_address, .. } = shared.settings;
    let health = async {
        if let Some(address) = healthz_address {
            keep(HEALTHZ, address, health_router(shared.clone()), &shared, &fail, &claim).await;
        }
    };
    let pages = keep("/metrics", metrics_address, pages::router(shared.clone()), &shared, &fail, &claim);
    tokio::join!(health, pages, node_ports::keep(shared.clone(), claim.clone()));
}

/// Answers at an address for as long as the program runs, as soon as it can be taken.
async fn keep(
    what: &'static str,
    address: SocketAddr,
    router: Router,
    shared: &Shared,
    fail: &impl Fn(ListenError),
    claim: &Claim,
) {
    let mut said = None;
    loop {
        match bind(address, Callers::All) {
            Ok(listener) => {
                match said {
                    Some(_) => info!("{what} listens at {address} at last"),
                    None => debug!("{what} listens at {address}"),
                }
                let _open = Open::new(listener, router, claim.clone());
                return std::future::pending().await;
            }
            Err(source) if shared.settings.hard_fail => {
                let error = ListenError { what, address, source };
                shared.proxy.recorder.record(failed_to_start(&error));
                return fail(error);
            }
            Err(error) => {
                let reason = error.to_string();
                if said.as_ref() != Some(&reason) {
                    let every = AGAIN_AFTER.as_secs();
                    warn!(
                        "{what} can't listen at {address}: {reason}; is another program there? It is tried again every {every} s"
                    );
                    said = Some(reason);
                }
            }
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// What is said of an address that ends the program, in kube-proxy's words.
fn failed_to_start(error: &ListenError) -> Occurrence {
    let reason = if error.what == HEALTHZ { "FailedToStartProxierHealthcheck" } else { "FailedToStartMetricServer" };
    let (regarding, severity, note) = (Regarding::Node, Severity::Warning, chain(error));
    Occurrence { regarding, severity, reason, action: "StartKubeProxy", note }
}

fn health_router(shared: Arc<Shared>) -> Router {
    let respond = |probe| {
        any(move |State(shared): State<Arc<Shared>>| async move {
            let answer = answer(probe, &shared.proxy.board.view(), shared.settings.patience);
            shared.proxy.metrics.probe(probe, answer.code.as_u16());
            health_response(answer)
        })
    };
    Router::new().route("/healthz", respond(Probe::Healthz)).route("/livez", respond(Probe::Livez)).with_state(shared)
}

fn health_response(HealthAnswer { code, body, weight }: HealthAnswer) -> Response {
    let mut response = (code, [(header::CONTENT_TYPE, "application/json"), NOSNIFF], body).into_response();
    if let Some(weight) = weight {
        response.headers_mut().insert(WEIGHT, HeaderValue::from(weight));
    }
    response
}
