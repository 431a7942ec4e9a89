//! Namespaces with their endpoints and containers.

use hcn::call::Method;
use hcn::{Guid, Hresult, Kind};
use serde_json::{Value, json};

use crate::rig::{Rig, parse};

#[test]
fn an_endpoint_is_attached_by_a_namespace_or_by_v1() {
    let rig = Rig::new();
    let (namespace, endpoint) =
        (rig.create(Kind::Namespace, json!({"Type": 2})).unwrap(), rig.create(Kind::Endpoint, json!({})).unwrap());
    assert_eq!(rig.get(Kind::Namespace, namespace)["Type"], json!("Guest"));
    let add = json!({"ResourceType": "Endpoint", "RequestType": "Add", "Settings": {"EndpointId": endpoint}});
    let observed = || {
        let document = rig.get(Kind::Endpoint, endpoint);
        (document["HostComputeNamespace"].clone(), document["State"].clone())
    };
    rig.modify(Kind::Namespace, namespace, &add).unwrap();
    assert_eq!(observed(), (json!(namespace), json!(2)));
    assert_eq!(rig.modify(Kind::Namespace, namespace, &add), Err(Hresult::HCN_E_ENDPOINT_NAMESPACE_ALREADY_EXISTS));
    rig.delete(Kind::Namespace, namespace).unwrap();
    assert_eq!(observed(), (Value::Null, json!(1)));
    let v1 = |id: Guid, verb: &str| {
        let output = rig.hns(Method::Post, &format!("/endpoints/{id}/{verb}"), &json!({}));
        output.map(|output| output["State"].clone())
    };
    assert_eq!(v1(endpoint, "attach"), Ok(json!(2)));
    assert_eq!(v1(endpoint, "attach"), Err(Hresult::HCN_E_ENDPOINT_ALREADY_ATTACHED));
    assert_eq!(v1(endpoint, "detach"), Ok(json!(1)));
    assert_eq!(v1(rig.remote("10.244.2.7"), "attach"), Err(Hresult::HCN_E_INVALID_REMOTE_ENDPOINT_OPERATION));
}

#[test]
fn v1_shows_namespaces_in_the_v1_schema() {
    let rig = Rig::new();
    let endpoint = rig.create(Kind::Endpoint, json!({})).unwrap();
    let made = rig.hns(Method::Post, "/namespaces/", &json!({"IsDefault": true})).unwrap();
    let namespace = parse(&made);
    assert_eq!((&made["IsDefault"], &made["ResourceList"]), (&json!(true), &json!([])));
    let body = json!({"Type": "Endpoint", "Data": {"Id": endpoint}});
    let resource = |verb: &str| rig.hns(Method::Post, &format!("/namespaces/{namespace}/{verb}"), &body);
    let observed =
        || rig.hns(Method::Get, &format!("/namespaces/{namespace}"), &json!({})).unwrap()["ResourceList"].clone();
    resource("addresource").unwrap();
    assert_eq!(observed(), json!([body]));
    let v2 = rig.get(Kind::Namespace, namespace);
    assert_eq!((&v2["Type"], &v2["Resources"]), (&json!("HostDefault"), &json!([body])));
    resource("removeresource").unwrap();
    assert_eq!(resource("removeresource"), Err(Hresult::ELEMENT_NOT_FOUND));
    assert_eq!(observed(), json!([]));
    let v2 = rig.create(Kind::Namespace, json!({"Type": "Guest", "NamespaceId": 7})).unwrap();
    let shown = rig.hns(Method::Get, &format!("/namespaces/{v2}"), &json!({})).unwrap();
    assert_eq!((&shown["CompartmentId"], &shown["IsDefault"]), (&json!(7), &json!(false)));
}

#[test]
fn namespaces_have_endpoints_and_containers() {
    let rig = Rig::new();
    let namespace = rig.create(Kind::Namespace, json!({})).unwrap();
    let endpoint = rig.create(Kind::Endpoint, json!({})).unwrap();
    let change = |kind: &str, verb: &str, settings: &Value| {
        let request = json!({"ResourceType": kind, "RequestType": verb, "Settings": settings});
        rig.modify(Kind::Namespace, namespace, &request)
    };
    // The id of a container may look like that of an endpoint.
    let container = json!({"ContainerId": endpoint});
    change("Container", "Add", &container).unwrap();
    change("Container", "Add", &container).unwrap();
    change("Endpoint", "Add", &json!({"EndpointId": endpoint})).unwrap();
    let resource = |kind: &str| json!({"Type": kind, "Data": {"Id": endpoint}});
    let resources = || rig.get(Kind::Namespace, namespace)["Resources"].clone();
    assert_eq!(resources(), json!([resource("Container"), resource("Endpoint")]));
    change("Container", "Remove", &container).unwrap();
    assert_eq!(resources(), json!([resource("Endpoint")]));
    assert_eq!(change("Container", "Remove", &container), Err(Hresult::ELEMENT_NOT_FOUND));
    assert_eq!(change("Container", "Add", &json!({})), Err(Hresult::E_INVALIDARG));
}

#[test]
fn containers_share_an_endpoint_until_the_last_one_is_detached() {
    let rig = Rig::new();
    let endpoint = rig.create(Kind::Endpoint, json!({})).unwrap();
    let change = |verb: &str, container: &str| {
        let body = json!({"SystemType": "Container", "ContainerId": container});
        let output = rig.hns(Method::Post, &format!("/endpoints/{endpoint}/{verb}"), &body)?;
        Ok((output["State"].clone(), output["SharedContainers"].clone()))
    };
    assert_eq!(change("attach", "pause"), Ok((json!(2), json!(["pause"]))));
    assert_eq!(change("attach", "pause"), Err(Hresult::HCN_E_ENDPOINT_ALREADY_ATTACHED));
    assert_eq!(change("attach", "app"), Ok((json!(3), json!(["pause", "app"]))));
    assert_eq!(change("detach", "other"), Err(Hresult::HCN_E_ENDPOINT_NOT_ATTACHED));
    assert_eq!(change("detach", "pause"), Ok((json!(2), json!(["app"]))));
    assert_eq!(change("detach", "app"), Ok((json!(1), Value::Null)));
    change("attach", "pause").unwrap();
    change("attach", "app").unwrap();
    assert_eq!(change("detach", ""), Ok((json!(1), Value::Null)));
}

#[test]
fn a_namespace_of_a_real_node_keeps_its_members_and_lists_its_endpoints() {
    let rig = Rig::new();
    let document: Value =
        serde_json::from_str(include_str!("../../../hcn/tests/corpus/namespace/ns01-v1-150.json")).unwrap();
    let created = rig.hns(Method::Post, "/namespaces/", &document).unwrap();
    // `Resources` is internal to HNS, and not a list of resources.
    let Value::Object(mut expected) = document else { panic!("an object") };
    expected.shift_remove("Resources");
    expected.insert("ResourceList".into(), json!([]));
    let compare = |namespace: &Value, expected: &serde_json::Map<String, Value>| {
        let differs = |(name, value): &(&String, &Value)| namespace.get(name.as_str()) != Some(value);
        expected.iter().filter(differs).map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
    };
    assert_eq!(compare(&created, &expected), Vec::<String>::new());
    let endpoint = rig.create(Kind::Endpoint, json!({})).unwrap();
    let path = format!("/namespaces/{}", created["ID"].as_str().unwrap());
    let resource = json!({"Type": "Endpoint", "Data": {"Id": endpoint}});
    rig.hns(Method::Post, &format!("{path}/addresource"), &resource).unwrap();
    expected.insert("ResourceList".into(), json!([resource]));
    let listed = rig.hns(Method::Get, &path, &Value::Null).unwrap();
    assert_eq!(compare(&listed, &expected), Vec::<String>::new());
}
