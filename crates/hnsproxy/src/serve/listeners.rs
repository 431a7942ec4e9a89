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
#[error("{name} cannot listen at {address}: {source}; {}", what_to_do(*own, ", or unset --bind-address-hard-fail to retry"))]
pub struct ListenError {
    name: &'static str,
    address: SocketAddr,
    /// The other address of this process, if it has the port.
    own: Option<&'static str>,
    #[source]
    source: io::Error,
}

/// The end of the message about an address that cannot be bound. `own` is the other address of this process, if it has the port.
fn what_to_do(own: Option<&str>, otherwise: &str) -> String {
    match own {
        Some(own) => {
            format!("this hnsproxy has {own} at the same port: change --healthz-bind-address or --metrics-bind-address")
        }
        None => format!("if another program listens there, stop it{otherwise}"),
    }
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
    /// The other address of this process, if it has the port.
    own: Option<&'static str>,
    bound: io::Result<TcpListener>,
}

impl Listeners {
    /// Binds the addresses. One that is taken is retried in [`start`](super::start).
    ///
    /// # Errors
    /// If an address cannot be bound and `hard_fail` is set. An Event is recorded for each.
    pub fn bind(settings: &Settings, recorder: &Recorder) -> Result<Self, ListenError> {
        let collide = settings.healthz_address.is_some_and(|address| overlap(address, settings.metrics_address));
        let listener = |name, address, other| {
            let own = collide.then_some(other);
            let listener = Listener { name, address, own, bound: bind(address, Callers::All) };
            match listener.bound {
                Err(source) if settings.hard_fail => {
                    let error = ListenError { name, address, own, source };
                    recorder.record(error.event());
                    Err(error)
                }
                bound => Ok(Listener { bound, ..listener }),
            }
        };
        // Both are tried before the first error ends it: an operator should not find the second after the next start.
        let healthz = settings.healthz_address.map(|address| listener(HEALTHZ, address, METRICS)).transpose();
        let metrics = listener(METRICS, settings.metrics_address, HEALTHZ);
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

/// Whether two addresses cannot be bound at the same time.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_host = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_host
}

impl Listener {
    fn local_address(&self) -> Option<SocketAddr> {
        self.bound.as_ref().ok()?.local_addr().ok()
    }

    /// Serves until it is cancelled. Retries to bind the address while another program has it.
    pub(super) async fn serve(mut self, served: Served) {
        let Self { name, address, own, .. } = self;
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
                            "{name} cannot listen at {address}: {reason}; {}",
                            what_to_do(own, "")
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
