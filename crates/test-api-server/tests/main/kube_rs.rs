//! The server with an independent client: kube-rs and its watcher.

use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::watcher::{self, Event as Watched, watcher};
use kube::{Client, Config, ResourceExt};
use serde_json::json;
use test_api_server::{ApiServer, Credentials, Kind, StreamedLists};

use crate::client::{headless, node, service};

const BOUND: Duration = Duration::from_secs(20);

fn client(server: &ApiServer) -> Client {
    Client::try_from(Config::new(server.url().parse().unwrap())).unwrap()
}

async fn client_by(kubeconfig: serde_json::Value) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(&kubeconfig.to_string()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// The first events of the watcher as text. Errors are skipped, since the watcher continues after them.
async fn first_events(
    stream: &mut (impl TryStreamExt<Ok = Watched<Service>, Error = watcher::Error> + Unpin),
    count: usize,
) -> Vec<String> {
    let mut told = Vec::new();
    let collect = async {
        while told.len() < count {
            let Ok(event) = stream.try_next().await else { continue };
            told.push(match event.unwrap() {
                Watched::Init => "init".to_owned(),
                Watched::InitApply(object) => format!("has {}", object.name_any()),
                Watched::InitDone => "complete".to_owned(),
                Watched::Apply(object) => format!("apply {}", object.name_any()),
                Watched::Delete(object) => format!("delete {}", object.name_any()),
            });
        }
    };
    tokio::time::timeout(BOUND, collect).await.unwrap();
    told
}

/// The same events with plain and streamed lists, and over TLS.
async fn watcher_events(server: ApiServer, config: watcher::Config) {
    server.load(json!([service("a"), headless("h"), service("b"), service("c")])).unwrap();
    let config = config.fields("spec.clusterIP!=None");
    let mut stream = pin!(watcher(Api::<Service>::all(client_by(server.kubeconfig(&Credentials::None)).await), config));
    assert_eq!(first_events(&mut stream, 5).await, ["init", "has a", "has b", "has c", "complete"]);
    server.put(service("h")).unwrap();
    server.delete(Kind::Service, "a", "a");
    server.put(headless("b")).unwrap();
    assert_eq!(first_events(&mut stream, 3).await, ["apply h", "delete a", "delete b"]);
    // After a closed connection it continues from its version.
    server.cut();
    server.put(service("d")).unwrap();
    assert_eq!(first_events(&mut stream, 1).await, ["apply d"]);
    // If its version has expired meanwhile, it lists again.
    server.make_unavailable();
    server.delete(Kind::Service, "a", "c");
    server.forget();
    server.make_available().unwrap();
    assert_eq!(first_events(&mut stream, 4).await, ["init", "has d", "has h", "complete"]);
}

#[tokio::test]
async fn the_watcher_follows_lists_in_pages() {
    watcher_events(ApiServer::start().unwrap(), watcher::Config::default().page_size(2)).await;
}

#[tokio::test]
async fn the_watcher_follows_streamed_lists() {
    watcher_events(ApiServer::start().unwrap(), watcher::Config::default().streaming_lists()).await;
}

#[tokio::test]
async fn the_watcher_follows_over_tls() {
    watcher_events(ApiServer::start_tls().unwrap(), watcher::Config::default().streaming_lists()).await;
}

/// The code of a response; `None` without a connection.
async fn code(kubeconfig: serde_json::Value) -> Option<u16> {
    match Api::<Service>::all(client_by(kubeconfig).await).list(&ListParams::default()).await {
        Ok(_) => Some(200),
        Err(kube::Error::Api(status)) => Some(status.code),
        Err(_) => None,
    }
}

#[tokio::test]
async fn certificates_and_tokens_authenticate() {
    let (server, other) = (ApiServer::start_tls().unwrap(), ApiServer::start_tls().unwrap());
    let with = |credentials| server.kubeconfig(&credentials);
    assert_eq!(code(with(Credentials::None)).await, Some(200));
    server.allow_tokens(["one"]);
    assert_eq!(code(with(Credentials::None)).await, Some(401));
    assert_eq!(code(with(Credentials::Token("one".into()))).await, Some(200));
    assert_eq!(code(with(Credentials::Token("two".into()))).await, Some(401));
    assert_eq!(code(with(Credentials::Certificate)).await, Some(200));
    // A certificate of another authority is rejected, by client and server.
    let mut stranger = with(Credentials::Certificate);
    stranger["users"] = other.kubeconfig(&Credentials::Certificate)["users"].clone();
    assert_eq!(code(stranger).await, None);
    let mut deceived = other.kubeconfig(&Credentials::None);
    deceived["clusters"][0]["cluster"]["server"] = server.url().into();
    assert_eq!(code(deceived).await, None);
    let before = with(Credentials::Certificate);
    server.renew_certificate().unwrap();
    assert_eq!((code(before).await, code(with(Credentials::Certificate)).await), (Some(401), Some(200)));
}

#[tokio::test]
async fn streamed_lists_can_be_rejected() {
    let server = ApiServer::start().unwrap();
    server.set_streamed_lists(StreamedLists::Forbidden);
    let config = watcher::Config::default().streaming_lists();
    let mut stream = pin!(watcher(Api::<Service>::all(client(&server)), config));
    assert!(matches!(stream.try_next().await, Ok(Some(Watched::Init)) | Err(_)));
    let error = loop {
        if let Err(error) = stream.try_next().await {
            break error;
        }
    };
    let watcher::Error::WatchStartFailed(kube::Error::Api(status)) = error else { unreachable!("{error:?}") };
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
}

#[tokio::test]
async fn typed_objects_are_read() {
    let server = ApiServer::start().unwrap();
    server.load(json!([node("n"), node("m")])).unwrap();
    let nodes = Api::<Node>::all(client(&server));
    assert_eq!(nodes.get("n").await.unwrap().name_any(), "n");
    let list = nodes.list(&ListParams::default().limit(1)).await.unwrap();
    assert_eq!((list.items.len(), list.metadata.continue_.is_some()), (1, true));
    let kube::Error::Api(status) = nodes.get("o").await.unwrap_err() else { unreachable!() };
    assert!(status.is_not_found());
}

#[tokio::test]
async fn the_recorder_writes_events() {
    let server = ApiServer::start().unwrap();
    let client = client(&server);
    let recorder = Recorder::new(client.clone(), "tests".into());
    let event = Event {
        type_: EventType::Warning,
        reason: "Reason".into(),
        note: Some("a note".into()),
        action: "Acting".into(),
        secondary: None,
    };
    let reference = k8s_openapi::api::core::v1::ObjectReference {
        kind: Some("Service".into()),
        namespace: Some("a".into()),
        name: Some("s".into()),
        ..Default::default()
    };
    // The second Event is a patch of the first.
    recorder.publish(&event, &reference).await.unwrap();
    recorder.publish(&event, &reference).await.unwrap();
    let events = server.events();
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["note"], &events[0]["series"]["count"]), (&json!("a note"), &json!(2)));
    let core = Api::<k8s_openapi::api::core::v1::Event>::namespaced(client, "a");
    let event = serde_json::from_value(json!({"metadata": {"name": "e"}, "involvedObject": {}})).unwrap();
    core.create(&PostParams::default(), &event).await.unwrap();
    core.patch("e", &PatchParams::default(), &Patch::Merge(json!({"count": 2}))).await.unwrap();
    assert_eq!(server.events()[1]["count"], 2);
}
