//! What fuzz targets call for data of an API server, a kubeconfig, a credential plugin and the environment.

use std::cell::OnceCell;
use std::path::Path;

use http::Uri;
use http::uri::{Authority, Parts};
use kube::client::Body;
use serde_json::value::RawValue;
use tokio::runtime::{Builder, Runtime};

use super::client;
use super::credentials::{Loaded, Prepared};
use super::decode;
use super::kind::{Kind, Nodes, Services, Slices};
use super::kubeconfig;
use super::line_buffer::LineBuffer;
use super::object::Event;
use super::plugin;
use super::proxy::{self, Environment};
use super::reflector::Reflector;
use super::request_error::RequestError;
use super::server_url::server_url;
use crate::change::Change;
use crate::file_text::decode_text;

pub use super::tls::certificates;

/// A folder that does not exist, so that no file of this host is read through a relative path.
const NOWHERE: &str = "/nonexistent/folder";
/// Refuses connections.
const CLOSED: Authority = Authority::from_static("127.0.0.1:1");

/// An object in a list and in a watch event. It is decoded as each kind, since a server may send any object in place of another.
pub fn list(bytes: &[u8]) {
    list_of::<Services>(bytes);
    list_of::<Slices>(bytes);
    list_of::<Nodes>(bytes);
}

fn list_of<K: Kind<Item: PartialEq + std::fmt::Debug>>(bytes: &[u8]) {
    let _ = decode::page::<K>(bytes);
    let Ok(object) = serde_json::from_slice::<&RawValue>(bytes) else { return };
    let page = format!(
        r#"{{"kind": "{}List", "apiVersion": "{}", "metadata": {{"resourceVersion": "9"}}, "items": [{object}]}}"#,
        K::NAME,
        K::API_VERSION
    );
    let event = format!(r#"{{"type": "ADDED", "object": {object}}}"#);
    let event = decode::event::<K>(event.as_bytes());
    match (decode::page::<K>(page.as_bytes()), event) {
        (Ok(page), Ok(Event::Applied(object))) => {
            assert_eq!(page.objects, [object]);
            let _ = Reflector::<K>::new("node", false).on_page(page);
        }
        (page, event) => assert!(page.is_err() && event.is_err(), "{page:?} {event:?}"),
    }
}

/// The bytes of a watch. What they mean does not depend on how they are cut into chunks.
pub fn watch(bytes: &[u8]) {
    watch_of::<Services>(bytes);
    watch_of::<Slices>(bytes);
    watch_of::<Nodes>(bytes);
}

fn watch_of<K: Kind>(bytes: &[u8]) {
    let whole = changes::<K>([bytes].into_iter());
    // The chunks are random. Their seed depends on the input, so that each run with a file has the same chunks.
    let mut random =
        fastrand::Rng::with_seed(bytes.iter().fold(0, |sum, byte| sum * 31 % (1 << 40) + u64::from(*byte)));
    let mut rest = bytes;
    let chunks = std::iter::from_fn(|| {
        let (chunk, after) = rest.split_at_checked(random.usize(1..=rest.len().max(1)))?;
        rest = after;
        Some(chunk)
    });
    assert_eq!(changes::<K>(chunks), whole);
}

/// The changes until the watch ends, and the error that ends it.
fn changes<'a, K: Kind>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Change>, Option<RequestError>) {
    let (mut buffer, mut reflector, mut changes) =
        (LineBuffer::default(), Reflector::<K>::new("node", true), Vec::new());
    for chunk in chunks {
        buffer.push(chunk);
        while let Some(line) = buffer.take_line() {
            let event = decode::event::<K>(buffer.line(line)).map_err(RequestError::from);
            match event.and_then(|event| reflector.on_event(event)) {
                Ok(emitted) => changes.extend(emitted),
                Err(error) => {
                    reflector.on_error(&error);
                    return (changes, Some(error));
                }
            }
        }
    }
    reflector.on_end(!changes.is_empty());
    (changes, None)
}

/// A kubeconfig, up to the first request. Nothing may make kube, hyper, tower or rustls panic. Plugins are not run.
pub fn kubeconfig(bytes: &[u8]) {
    let Ok(text) = decode_text(bytes.to_vec()) else { return };
    let Ok(mut kubeconfig) = kubeconfig::parse(&text) else { return };
    kubeconfig.resolve_paths(Path::new(NOWHERE));
    let Ok((config, proxy_url)) = kubeconfig.select(None) else { return };
    let proxy = proxy::choose(proxy_url.as_deref(), &Environment::default(), &config.cluster_url);
    if let Ok(prepared) = (Loaded { config, proxy }).prepare() {
        request(prepared);
    }
}

/// Sends a request to an address that refuses connections.
fn request(Prepared { mut config, .. }: Prepared) {
    config.cluster_url = closed(config.cluster_url);
    config.proxy_url = config.proxy_url.map(closed);
    // Reading the certificates of this host takes longer than everything else.
    config.accept_invalid_certs |= config.root_cert.is_none();
    runtime(|runtime| {
        runtime.block_on(async {
            let Ok(client) = client::create(config).await else { return };
            if let Ok(request) = http::Request::get(Services::PATH).body(Body::empty()) {
                let _ = client.send(request).await;
            }
        });
    });
}

/// The URL with the address that refuses connections. Its user and password stay.
fn closed(url: Uri) -> Uri {
    let user = url.authority().and_then(|authority| Some(authority.as_str().rsplit_once('@')?.0.to_owned()));
    let authority = user.and_then(|user| format!("{user}@{CLOSED}").parse().ok()).unwrap_or(CLOSED);
    let mut parts = Parts::from(url.clone());
    parts.authority = Some(authority);
    Uri::from_parts(parts).unwrap_or(url)
}

fn runtime(work: impl FnOnce(&Runtime)) {
    thread_local! {
        static RUNTIME: OnceCell<Option<Runtime>> = const { OnceCell::new() };
    }
    RUNTIME.with(|runtime| {
        let runtime = runtime.get_or_init(|| Builder::new_current_thread().enable_all().build().ok());
        if let Some(runtime) = runtime {
            work(runtime);
        }
    });
}

/// What a credential plugin prints, up to the first request.
pub fn plugin_answer(bytes: &[u8]) {
    let Some(credential) = plugin::read_answer(bytes) else { return };
    let mut config = kube::Config::new(Uri::from_static("https://127.0.0.1:1"));
    credential.apply(&mut config.auth_info);
    request(Prepared { config, plugin: None, has_token_file: false });
}

/// Lines with the URL of a server, the URL of a proxy, and `NO_PROXY`.
pub fn environment(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let (server, proxy, no_proxy) = (next(), next(), next());
    let Ok(server) = server_url(&server) else { return };
    let environment = Environment::of(|name| match name {
        "HTTP_PROXY" | "HTTPS_PROXY" => Some(proxy.clone()),
        "NO_PROXY" => Some(no_proxy.clone()),
        _ => None,
    });
    let Ok(proxy) = proxy::choose(None, &environment, &server) else { return };
    let mut config = kube::Config::new(server);
    config.proxy_url = proxy;
    request(Prepared { config, plugin: None, has_token_file: false });
}
