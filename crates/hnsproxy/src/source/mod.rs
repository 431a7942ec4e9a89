//! The source of the cluster: chosen by the arguments and the configuration; its changes are applied to the session.

mod coalesced;
mod feed;
mod local_node;

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use cluster_source::cluster::{self, Access, AccessError, ConnectionOptions, ReadError, RequestObserver};
use cluster_source::{Catalog, Change};
use tracing::{debug, warn};

pub use coalesced::{ClusterChanges, Coalesced};
pub use feed::{Environment, Feed, Origin};
pub use local_node::{NodeError, Readiness};

use crate::background::{Background, Task};
use crate::cli::ProxyArgs;
use crate::config::{Config, Gate};
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use crate::status::StatusStore;

impl RequestObserver for Metrics {
    fn rate_limited(&self, host: &str, method: &str, waited: Duration) {
        self.rest_limited(host, method, waited);
    }

    fn answered(&self, host: &str, method: &str, code: Option<u16>, took: Duration) {
        self.rest_request(host, method, code, took);
    }
}

/// Counts requests, and records when what is known of the cluster was last current.
pub struct Observer {
    pub metrics: Arc<Metrics>,
    pub store: Arc<StatusStore>,
}

impl RequestObserver for Observer {
    fn rate_limited(&self, host: &str, method: &str, waited: Duration) {
        self.metrics.rate_limited(host, method, waited);
    }

    fn answered(&self, host: &str, method: &str, code: Option<u16>, took: Duration) {
        self.metrics.answered(host, method, code, took);
    }

    fn current(&self, kind: &'static str) {
        self.store.kind_is_current(kind);
    }

    fn in_outage(&self, kind: &'static str, in_outage: bool) {
        self.store.kind_in_outage(kind, in_outage);
    }
}

/// Where the cluster comes from.
pub enum Source {
    /// A file, or all files below a directory.
    Files(PathBuf),
    ApiServer(Arc<Access>),
}

impl Source {
    /// The source that `--from` or the configuration names.
    ///
    /// # Errors
    /// If no API server is named, or its kubeconfig cannot be used.
    pub fn of(args: &ProxyArgs, config: &Config) -> Result<Self, AccessError> {
        Self::with(args, config, Access::open)
    }

    /// As [`of`](Self::of), at the start of the process: waits for a kubeconfig that does not exist yet.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn at_start(args: &ProxyArgs, config: &Config) -> Result<Self, AccessError> {
        Self::with(args, config, Access::open_or_wait)
    }

    fn with(args: &ProxyArgs, config: &Config, open: Open) -> Result<Self, AccessError> {
        Ok(match &args.source.from {
            Some(root) => Self::Files(root.clone()),
            None => Self::ApiServer(access(config, args.source.watch_timeout, open)?),
        })
    }
}

/// The API server of the configuration.
///
/// # Errors
/// If none is named, or its kubeconfig cannot be used.
pub fn open_access(args: &ProxyArgs, config: &Config) -> Result<Arc<Access>, AccessError> {
    access(config, args.source.watch_timeout, Access::open)
}

type Open = fn(&ConnectionOptions) -> Result<Access, AccessError>;

fn access(config: &Config, watch_timeout: Duration, open: Open) -> Result<Arc<Access>, AccessError> {
    let client = &config.client;
    let options = ConnectionOptions {
        kubeconfig: client.kubeconfig.clone(),
        master: client.master.clone(),
        qps: client.qps,
        burst: client.burst,
        stream_lists: config.gates.enabled(Gate::WatchListClient),
        response_timeout: ConnectionOptions::RESPONSE_TIMEOUT,
        watch_timeout,
        user_agent: concat!("hnsproxy/", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    let access = open(&options)?;
    if let Some(proxy) = access.proxy() {
        debug!(server = access.server(), proxy, "reaching the API server through a proxy");
    }
    if access.insecure_skip_tls_verify() {
        warn!(
            server = access.server(),
            "the certificate of the API server is not verified (insecure-skip-tls-verify in the kubeconfig): any server may pose as the API \
             server and read the credentials; set certificate-authority instead"
        );
    }
    Ok(Arc::new(access))
}

/// Logs that the API server does not have the Node of this proxy.
pub fn warn_of_missing_node(name: &str) {
    warn!("Node {name} not found; set --hostname-override if the kubelet uses another name");
}

/// Lists and watches the cluster for the proxy of a node until the task is dropped. Changes are emitted on the background thread.
fn list_watch(
    background: &Background,
    access: Arc<Access>,
    node_name: &str,
    observer: Arc<dyn RequestObserver>,
    emit: impl Fn(Vec<Change>) + Send + 'static,
) -> Task {
    let node_name = node_name.to_owned();
    background.spawn(move |stopped| async move {
        tokio::select! {
            () = cluster::list_watch(access, &node_name, observer, emit) => {}
            // The sender is dropped to stop the task.
            _ = stopped => {}
        }
    })
}

/// Reads the cluster of an API server that the proxy of a node serves, once.
///
/// # Errors
/// If it cannot be read, or shutdown is requested first.
pub fn read_api_server(
    args: &ProxyArgs,
    config: &Config,
    node_name: &str,
    shutdown: &Shutdown,
) -> Result<Catalog, ReadError> {
    let (access, node_name) = (open_access(args, config)?, node_name.to_owned());
    let background = Background::start().map_err(AccessError::Runtime)?;
    let (sender, result) = mpsc::channel();
    let ended = sender.clone();
    // The receiver is gone once the cluster was read.
    shutdown.on_request(move || drop(ended.send(Err(ReadError::Stopped))));
    let _reading = background.spawn(move |stopped| async move {
        let stopped = async { drop(stopped.await) };
        let read = cluster::read(access, &node_name, Arc::<Metrics>::default(), stopped).await;
        drop(sender.send(read));
    });
    result.recv().unwrap_or(Err(ReadError::Stopped))
}
