//! What is answered at the address of metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{Method, StatusCode, header};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use serde_json::json;

use super::header::{JSON, NOSNIFF, TEXT};
use super::ready::{self, Readiness};
use super::{Proxy, Settings, Shared, debug};

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let Settings { flagz, statusz, profiling, .. } = shared.settings;
    let mut router = Router::new()
        .route("/metrics", any(metrics))
        .route("/metrics/slis", any(slis))
        .route("/healthz", any(ping))
        .route("/healthz/ping", any(ping))
        .route("/proxyMode", any(|| async { ([TEXT, NOSNIFF], "kernelspace") }))
        .route("/configz", any(configz))
        .route("/readyz", any(readyz))
        .route("/debug/explain/{namespace}/{name}", any(debug::explain));
    if flagz {
        router = router.route("/flagz", any(debug::flagz));
    }
    if statusz {
        router = router.route("/statusz", any(self::statusz));
    }
    if profiling {
        router = router.route("/debug/flags", any(debug::flags)).route("/debug/flags/v", any(debug::verbosity));
    }
    router.with_state(shared)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let Proxy { store, metrics, overdue, .. } = &shared.proxy;
    let snapshot = store.snapshot();
    let liveness = snapshot.liveness(overdue().is_some());
    match metrics.text(&snapshot, liveness, &shared.settings.facts) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether anybody is there: it says nothing of the proxy.
async fn ping(State(shared): State<Arc<Shared>>) -> Response {
    shared.pings.fetch_add(1, Ordering::Relaxed);
    ([TEXT, NOSNIFF], "ok").into_response()
}

/// What Kubernetes' components say of their own health checks.
async fn slis(method: Method, State(shared): State<Arc<Shared>>) -> Response {
    if method == Method::DELETE {
        shared.pings.store(0, Ordering::Relaxed);
        return ([TEXT, NOSNIFF], "metrics reset\n").into_response();
    }
    let pings = shared.pings.load(Ordering::Relaxed);
    let text = format!(
        "# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.\n\
         # TYPE kubernetes_healthcheck gauge\n\
         kubernetes_healthcheck{{name=\"ping\",type=\"healthz\"}} 1\n\
         # HELP kubernetes_healthchecks_total [STABLE] This metric records the results of all healthcheck.\n\
         # TYPE kubernetes_healthchecks_total counter\n\
         kubernetes_healthchecks_total{{name=\"ping\",status=\"success\",type=\"healthz\"}} {pings}\n"
    );
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

async fn configz(State(shared): State<Arc<Shared>>) -> Response {
    let body = json!({"kubeproxy.config.k8s.io": shared.settings.configuration});
    ([JSON], body.to_string()).into_response()
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let readiness = Readiness::of(&shared.proxy.store.snapshot(), (shared.proxy.overdue)());
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, [JSON, NOSNIFF], serde_json::to_string_pretty(&readiness).unwrap_or_default()).into_response()
}

async fn statusz(State(shared): State<Arc<Shared>>) -> Response {
    let (settings, snapshot, overdue) = (&shared.settings, shared.proxy.store.snapshot(), (shared.proxy.overdue)());
    ([TEXT, NOSNIFF], ready::page(&snapshot, overdue, &settings.version, &paths(settings))).into_response()
}

/// The pages that there are beside `/statusz`.
fn paths(settings: &Settings) -> Vec<&'static str> {
    let mut paths = vec!["/configz", "/debug/explain/NAMESPACE/NAME"];
    paths.extend(settings.profiling.then_some("/debug/flags/v"));
    paths.extend(settings.flagz.then_some("/flagz"));
    paths.extend(["/healthz", "/metrics", "/metrics/slis", "/proxyMode", "/readyz"]);
    paths
}
