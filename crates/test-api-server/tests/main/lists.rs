//! Lists, pages, single objects, and Events.

use serde_json::json;
use test_api_server::{ApiServer, Kind};

use crate::client::{get, headless, node, send, service};

const SERVICES: &str = "/api/v1/services";

fn names(list: &serde_json::Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[test]
fn kind_and_version_are_in_the_list_and_not_in_its_items() {
    let server = ApiServer::start().unwrap();
    server.put(service("b")).unwrap();
    server.load(json!({"kind": "List", "items": [service("a"), node("n")]})).unwrap();
    let answer = get(&server, SERVICES);
    assert_eq!((answer.code, answer.header("Content-Type")), (200, Some("application/json")));
    let item = |name, version| json!({"metadata": {"namespace": "a", "name": name, "resourceVersion": version}, "spec": {"clusterIP": "10.0.0.1"}});
    let list = json!({
        "kind": "ServiceList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "8000003"},
        "items": [item("a", "8000002"), item("b", "8000001")],
    });
    assert_eq!(answer.json(), list);
    assert_eq!(server.objects().len(), 3);
}

#[test]
fn lists_are_filtered_by_selectors() {
    let server = ApiServer::start().unwrap();
    let slice = |name: &str, labels| json!({"kind": "EndpointSlice", "metadata": {"namespace": "a", "name": name, "labels": labels}});
    server.load(json!([service("a"), headless("b"), node("n"), node("m")])).unwrap();
    server
        .load(json!([slice("s", json!({"x": "1"})), slice("t", json!({"service.kubernetes.io/headless": ""}))]))
        .unwrap();
    let list = |target| get(&server, target).json();
    assert_eq!(names(&list("/api/v1/services?fieldSelector=spec.clusterIP%21%3DNone")), ["a"]);
    assert_eq!(names(&list("/api/v1/nodes?fieldSelector=metadata.name%3Dn")), ["n"]);
    assert_eq!(
        names(&list("/apis/discovery.k8s.io/v1/endpointslices?labelSelector=%21service.kubernetes.io%2Fheadless")),
        ["s"]
    );
    assert_eq!(names(&list("/api/v1/namespaces/a/services")), ["a", "b"]);
    assert_eq!(names(&list("/api/v1/namespaces/b/services")), [""; 0]);
    assert_eq!(
        list("/api/v1/nodes?fieldSelector=spec.podCIDR%3Dx")["message"],
        "field label not supported: spec.podCIDR"
    );
    let received = server.received();
    assert_eq!((received[0].verb, received[0].query["fieldSelector"].as_str()), ("list", "spec.clusterIP!=None"));
    assert_eq!((server.count("list", Kind::Service), server.count("list", Kind::Node)), (1, 2));
}

#[test]
fn a_single_object_is_read() {
    let server = ApiServer::start().unwrap();
    server.load(json!([service("a"), node("n")])).unwrap();
    assert_eq!(get(&server, "/api/v1/nodes/n").json(), server.get(Kind::Node, "", "n").unwrap());
    assert_eq!(get(&server, "/api/v1/namespaces/a/services/a").json(), server.get(Kind::Service, "a", "a").unwrap());
    let missing = get(&server, "/api/v1/nodes/m").json();
    assert_eq!((&missing["code"], &missing["message"]), (&json!(404), &json!("nodes \"m\" not found")));
    assert_eq!(get(&server, "/api/v1/pods").code, 404);
    assert_eq!(get(&server, "/readyz").text().unwrap(), "ok");
    assert_eq!(get(&server, "/version").json()["minor"], "36");
}

#[test]
fn all_pages_of_a_list_have_one_version() {
    let server = ApiServer::start().unwrap();
    server.load(["a", "b", "c", "d", "e"].into_iter().map(service).collect()).unwrap();
    let page = |token: &str| get(&server, &format!("{SERVICES}?limit=2&continue={token}")).json();
    let first = page("");
    server.delete(Kind::Service, "a", "c");
    server.put(service("bb")).unwrap();
    let second = page(first["metadata"]["continue"].as_str().unwrap());
    let third = page(second["metadata"]["continue"].as_str().unwrap());
    assert_eq!([names(&first), names(&second), names(&third)], [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
    let versions = [&first, &second, &third].map(|page| page["metadata"]["resourceVersion"].as_str().unwrap());
    assert_eq!(versions, ["8000005"; 3]);
    assert_eq!(third["metadata"].get("continue"), None);

    server.forget();
    let expired = page(second["metadata"]["continue"].as_str().unwrap());
    assert_eq!((&expired["code"], &expired["reason"]), (&json!(410), &json!("Expired")));
    // The token of the error continues the list, inconsistently.
    let rest = page(expired["metadata"]["continue"].as_str().unwrap());
    assert_eq!((names(&rest), &rest["metadata"]["resourceVersion"]), (vec!["e"], &json!("8000007")));
    // As in the API server: lists from its cache have no pages.
    let whole = get(&server, &format!("{SERVICES}?limit=2&resourceVersion=0")).json();
    assert_eq!(names(&whole), ["a", "b", "bb", "d", "e"]);
    assert_eq!(page("nonsense")["code"], 400);
}

#[test]
fn future_versions_are_rejected() {
    let server = ApiServer::start().unwrap();
    let answer = get(&server, "/api/v1/services?resourceVersion=8000001");
    assert_eq!((answer.code, answer.header("Retry-After")), (504, Some("1")));
    let status = answer.json();
    assert_eq!(status["reason"], "Timeout");
    assert_eq!(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    assert_eq!(get(&server, "/api/v1/services?resourceVersion=8000000").code, 200);
}

#[test]
fn events_are_kept() {
    let server = ApiServer::start().unwrap();
    let path = "/apis/events.k8s.io/v1/namespaces/a/events";
    let event = json!({"metadata": {"namespace": "a", "name": "e"}, "note": "first"});
    assert_eq!(send(&server, "POST", path, "", &event.to_string()).unwrap().code, 201);
    assert_eq!(send(&server, "POST", path, "", "{").unwrap().code, 400);
    let patched = send(&server, "PATCH", &format!("{path}/e"), "", &json!({"note": "second"}).to_string()).unwrap();
    assert_eq!(patched.code, 200);
    assert_eq!(server.events(), [json!({"metadata": {"namespace": "a", "name": "e"}, "note": "second"})]);
}
