//! The addresses of `/healthz` and of `/metrics`: bound at the start, or later where another program has them.

use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};

use cluster_source::error_chain;
use tracing::{debug, info, warn};

use super::Settings;
use super::listen::{Callers, Open, RETRY_AFTER, Served, bind};
use crate::events::{Event, EventType, ObjectReference, Recorder};

const HEALTHZ: &str = "/healthz";
const METRICS: &str = "/metrics";

/// An address could not be bound, and `--bind-address-hard-fail` is set.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name} cannot listen at {address}: {source}; if another program listens there, stop it, or unset --bind-address-hard-fail to retry"
)]
pub struct ListenError {
    name: &'static str,
    address: SocketAddr,
    #[source]
    source: io::Error,
}

impl ListenError {
    /// The Event that kube-proxy sends about it.
    fn event(&self) -> Event {
        let reason = if self.name == HEALTHZ { "FailedToStartProxierHealthcheck" } else { "FailedToStartMetricServer" };
        let (regarding, event_type, note) = (ObjectReference::Node, EventType::Warning, error_chain(self));
        Event { regarding, event_type, reason, action: "StartKubeProxy", note }
    }
}

pub struct Listeners {
    /// None if it is switched off.
    pub(super) healthz: Option<Listener>,
    pub(super) metrics: Listener,
}

/// An address, and the socket or the error of the last try to bind it.
pub(super) struct Listener {
    name: &'static str,
    address: SocketAddr,
    bound: io::Result<TcpListener>,
}

impl Listeners {
    /// Binds the addresses. One that is taken is retried in [`start`](super::start).
    ///
    /// # Errors
    /// If an address cannot be bound and `hard_fail` is set. An Event is recorded for each.
    pub fn bind(settings: &Settings, recorder: &Recorder) -> Result<Self, ListenError> {
        let listener = |name, address| {
            let listener = Listener { name, address, bound: bind(address, Callers::All) };
            match listener.bound {
                Err(source) if settings.hard_fail => {
                    let error = ListenError { name, address, source };
                    recorder.record(error.event());
                    Err(error)
                }
                bound => Ok(Listener { bound, ..listener }),
            }
        };
        // Both are tried before the first error ends it: an operator should not find the second after the next start.
        let healthz = settings.healthz_address.map(|address| listener(HEALTHZ, address)).transpose();
        let metrics = listener(METRICS, settings.metrics_address);
        Ok(Self { healthz: healthz?, metrics: metrics? })
    }

    /// The real address, once it is bound: the port may have been 0.
    pub fn healthz_address(&self) -> Option<SocketAddr> {
        self.healthz.as_ref()?.local_address()
    }

    /// The real address, once it is bound.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.local_address()
    }
}

impl Listener {
    fn local_address(&self) -> Option<SocketAddr> {
        self.bound.as_ref().ok()?.local_addr().ok()
    }

    /// Serves until it is cancelled. Retries to bind the address while another program has it.
    pub(super) async fn serve(mut self, served: Served) {
        let Self { name, address, .. } = self;
        let mut logged: Option<String> = None;
        loop {
            match self.bound.and_then(|listener| Open::new(listener, served.clone())) {
                Ok(_open) => {
                    if logged.is_some() {
                        info!("{name} cannot listen at {address}: resolved");
                    }
                    debug!("{name} listens at {address}");
                    return pending().await;
                }
                Err(error) => {
                    let reason = error.to_string();
                    if logged.as_ref() != Some(&reason) {
                        warn!(
                            retry_seconds = RETRY_AFTER.as_secs(),
                            "{name} cannot listen at {address}: {reason}; if another program listens there, stop it"
                        );
                        logged = Some(reason);
                    }
                }
            }
            tokio::time::sleep(RETRY_AFTER).await;
            self.bound = bind(address, Callers::All);
        }
    }
}
