//! The cluster's source, as the configuration says it: what of [`cluster_source`] is used, and how.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use cluster_source::cluster::{self, Access, AccessError, ConnectionOptions, ReadError, RequestObserver};
use cluster_source::{Catalog, Change};

use crate::background::{Background, Task};
use crate::config::Config;
use crate::end::End;
use crate::metrics::Metrics;

/// The feature gate of lists that come as streams.
const STREAMED_LISTS: &str = "WatchListClient";

impl RequestObserver for Metrics {
    fn rate_limited(&self, host: &str, method: &str, waited: Duration) {
        self.rest_limited(host, method, waited);
    }

    fn answered(&self, host: &str, method: &str, code: Option<u16>, took: Duration) {
        self.rest_request(host, method, code, took);
    }
}

/// The way to the API server that the configuration names.
///
/// # Errors
/// Where that can't be known: there is no use in trying again.
pub fn access(config: &Config) -> Result<Arc<Access>, AccessError> {
    let client = &config.client;
    let options = ConnectionOptions {
        kubeconfig: client.kubeconfig.clone(),
        master: client.master.clone(),
        qps: client.qps,
        burst: client.burst,
        stream_lists: config.gates.enabled(STREAMED_LISTS),
        user_agent: concat!("hnsproxy/", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    Access::open(&options).map(Arc::new)
}

/// Follows a cluster for the proxy of a node until the task is dropped, and tells each change on the background thread.
pub fn follow(
    background: &Background,
    access: Arc<Access>,
    node_name: &str,
    metrics: Arc<Metrics>,
    tell: impl Fn(Change) + Send + 'static,
) -> Task {
    let node_name = node_name.to_owned();
    background.spawn(move |stopped| async move {
        tokio::select! {
            () = cluster::follow(access, &node_name, metrics, tell) => {}
            // Dropped, not sent: the error is the message.
            _ = stopped => {}
        }
    })
}

/// Reads the cluster of an API server that the proxy of a node serves, once.
///
/// # Errors
/// Where it can't be read, or the word to end comes before.
pub fn read(config: &Config, node_name: &str, end: &End) -> Result<Catalog, ReadError> {
    let (access, node_name) = (access(config)?, node_name.to_owned());
    let background = Background::start().map_err(AccessError::Runtime)?;
    let (sender, result) = mpsc::channel();
    let ended = sender.clone();
    // Nobody is to be told any more where nobody listens.
    end.when_told(move || drop(ended.send(Err(ReadError::Ended))));
    let _reading = background.spawn(move |stopped| async move {
        let stopped = async { drop(stopped.await) };
        let read = cluster::read(access, &node_name, Arc::<Metrics>::default(), stopped).await;
        drop(sender.send(read));
    });
    result.recv().unwrap_or(Err(ReadError::Ended))
}
