//! The health check ports of Services (`healthCheckNodePort`): opened and closed as Services come and go.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use proxy::model::{Family, ServiceName};
use proxy::{HealthCheck, HealthChecks};
use tracing::{debug, info, warn};

use super::health::answer_service;
use super::listen::{Callers, Claim, Open, RETRY_AFTER, bind};
use super::{Shared, health_response};
use crate::events::{Event, EventType, ObjectReference};

type Key = (ServiceName, Family);

/// A port that is open, or the reason why it is not.
#[derive(Debug)]
struct Port {
    number: u16,
    state: Result<Open, String>,
}

/// Keeps the ports of the status open until it is cancelled.
pub(super) async fn serve(shared: Arc<Shared>, claim: Claim) {
    let mut status = shared.proxy.store.subscribe();
    let mut ports = BTreeMap::new();
    loop {
        let desired = desired(&status.borrow_and_update().health_checks);
        update(&shared, &mut ports, &desired, &claim).await;
        let failed = ports.values().any(|port| port.state.is_err());
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(RETRY_AFTER), if failed => {}
        }
    }
}

fn desired(checks: &HealthChecks) -> BTreeMap<Key, HealthCheck> {
    checks
        .iter()
        .flat_map(|(service, check)| check.local.keys().map(|family| ((service.clone(), *family), check.clone())))
        .collect()
}

async fn update(
    shared: &Arc<Shared>,
    ports: &mut BTreeMap<Key, Port>,
    desired: &BTreeMap<Key, HealthCheck>,
    claim: &Claim,
) {
    let gone = ports.iter().filter(|(key, port)| desired.get(*key).is_none_or(|check| check.port != port.number));
    for key in gone.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
        if let Some(Port { number, state: Ok(open) }) = ports.remove(&key) {
            debug!("Service {}: health check stopped listening at port {number}", key.0);
            open.close().await;
        }
    }
    for (key, check) in desired {
        let number = check.port;
        let before = match ports.get(key).map(|port| &port.state) {
            Some(Ok(_)) => continue,
            Some(Err(reason)) => Some(reason.clone()),
            None => None,
        };
        let (service, family) = key;
        let address = SocketAddr::new(anywhere(*family), number);
        let router = router(shared.clone(), key.clone());
        let opened = bind(address, Callers::OwnFamily)
            .and_then(|listener| Open::new(listener, shared.served("health_check_node_port", router, claim)));
        let state = match opened {
            Ok(open) => {
                if before.is_some() {
                    info!("Service {service}: health check cannot listen at {address}: resolved");
                }
                debug!("Service {service}: health check listens at {address}");
                Ok(open)
            }
            Err(error) => {
                let reason = error.to_string();
                if before.as_ref() != Some(&reason) {
                    warn!(
                        retry_seconds = RETRY_AFTER.as_secs(),
                        "Service {service}: health check cannot listen at {address}: {reason}; external load balancers send no \
                         traffic for this Service to this node; if another program listens there, stop it"
                    );
                    shared.proxy.recorder.record(Event {
                        regarding: ObjectReference::Service(service.clone(), check.uid),
                        event_type: EventType::Warning,
                        reason: "FailedToStartServiceHealthcheck",
                        action: "Listen",
                        note: format!(
                            "this node cannot listen at {address} for health checks of Service {service}: {reason}"
                        ),
                    });
                }
                Err(reason)
            }
        };
        ports.insert(key.clone(), Port { number, state });
    }
}

fn anywhere(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Every path has the same answer, as in kube-proxy.
fn router(shared: Arc<Shared>, (service, family): Key) -> Router {
    Router::new().fallback_service(get(move || async move { respond(&shared, &service, family) }))
}

fn respond(shared: &Shared, service: &ServiceName, family: Family) -> Response {
    let snapshot = shared.proxy.store.snapshot();
    let check = snapshot.status.health_checks.get(service);
    // The port of a Service that was just deleted closes a moment later.
    let local = check.and_then(|check| check.local.get(&family)).copied().unwrap_or_default();
    health_response(answer_service(service, local, &snapshot, shared.settings.pending_limit))
}
