//! The pages at the address of metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{DefaultBodyLimit, RawQuery, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::{HeaderMap, StatusCode, header};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use serde_json::json;

use super::header::{JSON, NOSNIFF, TEXT};
use super::status_api::{LogPage, ReadyzPage, StatuszPage};
use super::{Proxy, Settings, Shared, debug, explained, history, host, process, services, statusz, ui};
use crate::{log, metrics};

/// The bytes of the body of a request: the only one with a meaning is a number.
const MAX_BODY: usize = 1 << 10;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let Settings { flagz, statusz, profiling, ui: has_ui, .. } = shared.settings;
    let mut router = Router::new()
        .route("/metrics", get(metrics))
        .route("/metrics/slis", get(slis).delete(reset_slis))
        .route("/proxyMode", get(|| async { ([TEXT, NOSNIFF], "kernelspace") }))
        .route("/configz", get(configz))
        .route("/readyz", get(readyz))
        .route("/debug/explain/{namespace}/{name}", get(explained::explanation))
        .route("/debug/history", get(history::page))
        .route("/debug/hns", get(process::hns))
        .route("/debug/networks", get(process::networks))
        .route("/debug/pending", get(process::pending))
        .route("/debug/services", get(services::page))
        .route("/debug/services/{namespace}/{name}", get(explained::page))
        .route("/debug/packet", get(debug::packet));
    if flagz {
        router = router.route("/flagz", get(debug::flagz));
    }
    if statusz {
        router = router.route("/statusz", get(statusz_page));
    }
    if has_ui {
        router = router.route("/ui", get(ui::redirect)).route("/ui/", get(ui::page));
    }
    if profiling {
        router = router.route("/debug/flags", get(debug::flags)).route("/debug/flags/v", any(debug::verbosity));
    }
    router
        .layer(from_fn_with_state(shared.clone(), check_host))
        // Whatever name a probe uses, these two say nothing but that the process answers.
        .route("/healthz", get(ping))
        .route("/healthz/ping", get(ping))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}

async fn check_host(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let snapshot = shared.proxy.store.snapshot();
    let names = shared.settings.host_names.iter().map(String::as_str).chain([snapshot.status.node.name.as_str()]);
    if host::is_allowed(request.uri(), request.headers(), names) {
        return next.run(request).await;
    }
    let reason = "the header Host names another host; use an IP address, localhost or the name of this node, or allow the \
                  name with --metrics-allowed-host\n";
    (StatusCode::FORBIDDEN, [TEXT, NOSNIFF], reason).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let Proxy { store, metrics, overdue, credentials, .. } = &shared.proxy;
    let snapshot = store.snapshot();
    let facts = [shared.settings.facts.clone(), metrics::credentials(&credentials())].concat();
    let accept = accepted(&headers);
    let format =
        if shared.settings.native_histograms { metrics::Format::preferred(accept) } else { metrics::Format::Text };
    match metrics.page(format, &snapshot, overdue(), &facts) {
        Some(page) => ([(header::CONTENT_TYPE, format.content_type())], page).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Shows that the process answers, whatever the state of the proxy.
async fn ping(State(shared): State<Arc<Shared>>) -> Response {
    shared.pings.fetch_add(1, Ordering::Relaxed);
    ([TEXT, NOSNIFF], "ok").into_response()
}

async fn reset_slis(State(shared): State<Arc<Shared>>) -> Response {
    shared.pings.store(0, Ordering::Relaxed);
    ([TEXT, NOSNIFF], "metrics reset\n").into_response()
}

/// The metrics that Kubernetes components have about their own health checks.
async fn slis(State(shared): State<Arc<Shared>>) -> Response {
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
    let page = ReadyzPage::new(shared.state(&shared.proxy.store.snapshot()));
    let code = if page.state.in_sync { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, [JSON, NOSNIFF], serde_json::to_string_pretty(&page).unwrap_or_default()).into_response()
}

async fn statusz_page(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let format = match Format::requested(query.as_deref().unwrap_or_default(), &headers) {
        Ok(format) => format,
        Err(error) => return (StatusCode::BAD_REQUEST, [TEXT, NOSNIFF], error).into_response(),
    };
    let (settings, store) = (&shared.settings, &shared.proxy.store);
    let snapshot = store.snapshot();
    let log = log::file_status().map(LogPage::from).unwrap_or_default();
    let page = StatuszPage::new(
        shared.state(&snapshot),
        &snapshot,
        store.started(),
        log,
        settings.tls.pages(),
        &settings.version,
        paths(settings),
    );
    match format {
        Format::Text => ([TEXT, NOSNIFF], statusz::text(&page)).into_response(),
        Format::Json => ([JSON, NOSNIFF], serde_json::to_string_pretty(&page).unwrap_or_default()).into_response(),
    }
}

/// The format of a page that has two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

impl Format {
    /// `format=` in the query, else the header Accept, else text.
    ///
    /// # Errors
    /// The message for the client, where the query names another format.
    fn requested(query: &str, headers: &HeaderMap) -> Result<Self, String> {
        if let Some((_, format)) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "format") {
            return match &*format {
                "text" => Ok(Self::Text),
                "json" => Ok(Self::Json),
                other => Err(format!("unknown format {other:?} (known: json, text)\n")),
            };
        }
        let accept = accepted(headers);
        // `application/json;as=Statusz` asks for the document of Kubernetes components, which this is not.
        let is_json = |media_type: &str| media_type.trim() == "application/json";
        Ok(if accept.split(',').any(is_json) { Self::Json } else { Self::Text })
    }
}

/// The header `Accept`. Empty if there is none.
fn accepted(headers: &HeaderMap) -> &str {
    headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default()
}

/// The pages other than `/statusz`.
fn paths(settings: &Settings) -> Vec<&'static str> {
    let mut paths = vec!["/configz", "/debug/explain/NAMESPACE/NAME"];
    paths.extend(settings.profiling.then_some("/debug/flags/v"));
    paths.extend([
        "/debug/history",
        "/debug/hns",
        "/debug/networks",
        "/debug/packet",
        "/debug/pending",
        "/debug/services",
        "/debug/services/NAMESPACE/NAME",
    ]);
    paths.extend(settings.flagz.then_some("/flagz"));
    paths.extend(["/healthz", "/metrics", "/metrics/slis", "/proxyMode", "/readyz"]);
    paths.extend(settings.ui.then_some("/ui/"));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requested(query: &str, accept: &'static str) -> Result<Format, String> {
        Format::requested(query, &HeaderMap::from_iter([(header::ACCEPT, http::HeaderValue::from_static(accept))]))
    }

    #[test]
    fn the_query_decides_the_format_before_the_accept_header() {
        assert_eq!(requested("", "*/*"), Ok(Format::Text));
        assert_eq!(requested("", "text/html, application/json"), Ok(Format::Json));
        assert_eq!(requested("", "application/json;as=Statusz;v=v1alpha1;g=config.k8s.io"), Ok(Format::Text));
        assert_eq!(requested("verbose&format=json", "text/plain"), Ok(Format::Json));
        assert_eq!(requested("format=text", "application/json"), Ok(Format::Text));
        assert_eq!(requested("format=xml", ""), Err("unknown format \"xml\" (known: json, text)\n".into()));
    }
}
