//! The HTTP servers: health checks for external load balancers, and metrics and diagnostic pages for operators.
//!
//! They run on the background thread and answer from the [`StatusStore`], so that they answer while an HNS call blocks the control loop.

mod answers;
mod connection;
mod connections;
mod debug;
mod explained;
mod header;
mod health;
mod history;
mod host;
mod key_pair;
mod listen;
mod listeners;
mod pages;
mod probe;
mod process;
mod query;
mod running;
mod service_health;
mod services;
mod status_api;
mod statusz;
mod tls;
mod ui;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cluster_source::cluster::CredentialLifetime;
use hcn::SlowCall;
use http::HeaderValue;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::background::{Background, Task};
use crate::config::{Config, Gate};
use crate::events::Recorder;
use crate::history::History;
use crate::metrics::{self, Metrics, Probe, Sample};
use crate::packet::Observation;
use crate::status::{CallStatistics, ExplanationTable, ServiceTable, StatusSnapshot, StatusStore};
use connections::{Connections, Limits};
use header::{JSON, NOSNIFF, WEIGHT};
use health::{HealthAnswer, answer};
use listen::{Claim, Served};
pub use listeners::{ListenError, Listeners};
use running::RunningPage;
use status_api::StatePage;
pub use tls::{ListenerTls, TlsError};

/// The number of packets that are explained concurrently: each takes up to a second of a processor.
const MAX_EXPLANATIONS: usize = 4;

/// Asks the control loop for what was observed in HNS, to explain a packet. The error says why that is not known. It is closed if the client has
/// disconnected.
#[derive(Debug)]
pub struct ObservationRequest(pub oneshot::Sender<Result<Box<Observation>, &'static str>>);

#[derive(Debug, Clone)]
pub struct Settings {
    /// None switches `/healthz` off.
    pub healthz_address: Option<SocketAddr>,
    pub metrics_address: SocketAddr,
    tls: ListenerTls,
    /// The names of this host, other than that of the Node, by which clients may request pages.
    host_names: Vec<String>,
    /// Whether hnsproxy exits if it cannot bind an address.
    pub hard_fail: bool,
    /// How long changes may be pending before the proxy is unhealthy.
    pub pending_limit: Duration,
    /// The body of `/configz`.
    pub configuration: Value,
    /// The version of kube-proxy that is reported.
    version: String,
    /// Every flag of kube-proxy with its effective value.
    flags: Vec<(&'static str, String)>,
    /// Whether `/flagz` is served.
    flagz: bool,
    /// Whether `/statusz` is served.
    statusz: bool,
    /// Whether scrapers get native histograms.
    native_histograms: bool,
    /// Whether `/debug/flags` is served, which changes the verbosity.
    profiling: bool,
    /// Whether `/ui/` is served.
    ui: bool,
    /// The metrics that the configuration alone determines.
    facts: Vec<Sample>,
}

/// The parts of the process that the servers use.
pub struct Proxy {
    pub store: Arc<StatusStore>,
    pub metrics: Arc<Metrics>,
    pub history: History,
    pub services: Arc<ServiceTable>,
    pub explanations: Arc<ExplanationTable>,
    pub calls: Arc<CallStatistics>,
    pub recorder: Recorder,
    /// Sends a request to the control loop.
    pub observe: Box<dyn Fn(ObservationRequest) + Send + Sync>,
    /// When the credentials for the API server expire.
    pub credentials: Box<dyn Fn() -> Vec<CredentialLifetime> + Send + Sync>,
    /// The HNS call in flight, if it exceeds its budget.
    pub overdue: Box<dyn Fn() -> Option<SlowCall> + Send + Sync>,
}

impl Settings {
    /// `host_names` are allowed beside the host name of the operating system.
    pub fn of(config: &Config, host_names: &[String], ui: bool, tls: ListenerTls) -> Self {
        let own_name = gethostname::gethostname().to_string_lossy().into_owned();
        Self {
            healthz_address: config.healthz_address,
            metrics_address: config.metrics_address,
            tls,
            host_names: [&[own_name], host_names].concat(),
            hard_fail: config.bind_address_hard_fail,
            // Twice the sync period, as in kube-proxy.
            pending_limit: config.sync_period * 2,
            configuration: config.to_v1alpha1(),
            version: config.reported_version.clone(),
            flags: config.flags(),
            flagz: config.gates.enabled(Gate::ComponentFlagz),
            statusz: config.gates.enabled(Gate::ComponentStatusz),
            native_histograms: config.gates.enabled(Gate::NativeHistograms),
            profiling: config.profiling,
            ui,
            facts: metrics::facts(config),
        }
    }
}

struct Shared {
    settings: Settings,
    proxy: Proxy,
    connections: Arc<Connections>,
    explanations: Arc<Semaphore>,
    /// The requests for `/healthz` at the address of metrics, for `/metrics/slis`.
    pings: AtomicU64,
}

impl Shared {
    fn state(&self, snapshot: &StatusSnapshot) -> StatePage {
        let Proxy { metrics, overdue, .. } = &self.proxy;
        StatePage::new(snapshot, overdue(), metrics.unrepaired_drift())
    }

    /// The process, for pages that clients poll.
    fn running(&self) -> RunningPage {
        RunningPage { started: self.proxy.store.started() }
    }

    /// What is served at one address, without TLS. The name is the label of metrics.
    fn served(&self, name: &'static str, router: Router, claim: &Claim) -> Served {
        let (connections, metrics) = (self.connections.clone(), self.proxy.metrics.clone());
        Served { name, router, tls: None, connections, metrics, claim: claim.clone() }
    }
}

/// Serves until the task is dropped. The addresses are free then.
pub fn start(background: &Background, listeners: Listeners, settings: Settings, proxy: Proxy) -> Task {
    let explanations = Arc::new(Semaphore::new(MAX_EXPLANATIONS));
    let connections = Arc::new(Connections::new(Limits::default()));
    let shared = Arc::new(Shared { settings, proxy, connections, explanations, pings: AtomicU64::new(0) });
    background.spawn(move |stopped| async move {
        let (claim, mut free) = mpsc::channel(1);
        tokio::select! {
            () = serve(shared, listeners, claim) => {}
            // The sender is dropped to stop the task.
            _ = stopped => {}
        }
        free.recv().await;
    })
}

async fn serve(shared: Arc<Shared>, Listeners { healthz, metrics }: Listeners, claim: Claim) {
    let health = async {
        if let Some(healthz) = healthz {
            let served = shared.served("healthz", health_router(shared.clone()), &claim);
            healthz.serve(Served { tls: shared.settings.tls.healthz.clone(), ..served }).await;
        }
    };
    let served = shared.served("metrics", pages::router(shared.clone()), &claim);
    let pages = metrics.serve(Served { tls: shared.settings.tls.metrics.clone(), ..served });
    tokio::join!(health, pages, service_health::serve(shared.clone(), claim.clone()));
}

fn health_router(shared: Arc<Shared>) -> Router {
    let respond = |probe| {
        get(move |State(shared): State<Arc<Shared>>| async move {
            let answer = answer(probe, &shared.proxy.store.snapshot(), shared.settings.pending_limit);
            shared.proxy.metrics.probe(probe, answer.code.as_u16());
            health_response(answer)
        })
    };
    Router::new().route("/healthz", respond(Probe::Healthz)).route("/livez", respond(Probe::Livez)).with_state(shared)
}

fn health_response(HealthAnswer { code, body, weight }: HealthAnswer) -> Response {
    let mut response = (code, [JSON, NOSNIFF], body).into_response();
    if let Some(weight) = weight {
        response.headers_mut().insert(WEIGHT, HeaderValue::from(weight));
    }
    response
}
