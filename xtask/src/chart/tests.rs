//! Tests of the chart as Helm and Kubernetes read it.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;

use super::*;
use crate::tools::CHART as TOOLS;

/// Values that can be installed, with one member changed.
fn values(path: &str, value: Value) -> Value {
    let mut values = json!({"apiServer": {"host": "10.0.0.4"}});
    let steps = path.split('/').skip(1);
    let member = steps.fold(&mut values, |object, name| &mut object[name]);
    *member = value;
    values
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// The first object of a kind.
fn object(documents: &[Value], kind: &str) -> Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap_or(&Value::Null).clone()
}

fn repository_text(path: &str) -> String {
    fs::read_to_string(folder::root().unwrap().join(path)).unwrap()
}

#[test]
fn the_chart_has_the_version_of_the_workspace() {
    let chart: Value = serde_saphyr::from_str(&repository_text(&format!("{CHART}/Chart.yaml"))).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!([&chart["version"], &chart["appVersion"]], [version, version]);
}

/// The names of files with this beginning and this end in a folder, without both.
fn names(folder: &str, begin: &str, end: &str) -> BTreeSet<String> {
    let files = texts(&folder::root().unwrap().join(folder)).unwrap();
    let name = |file: &String| Some(file.strip_prefix(begin)?.strip_suffix(end)?.to_owned());
    files.keys().filter_map(name).collect()
}

#[test]
fn each_cni_has_settings_values_a_manifest_and_a_test_of_the_program() {
    let schema: Value = serde_json::from_str(&repository_text(&format!("{CHART}/values.schema.json"))).unwrap();
    let cnis = schema["properties"]["cni"]["enum"].as_array().unwrap();
    let cnis: BTreeSet<String> = cnis.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    assert_eq!(names(&format!("{CHART}/cni"), "", ".yaml"), cnis);
    assert_eq!(names(MANIFESTS, "", ".yaml"), cnis);
    let mut with_values = names(&format!("{CHART}/{VALUES}"), "", VALUES_END);
    with_values.remove(MONITORING);
    assert_eq!(with_values, cnis);
    let tested = names("crates/hnsproxy/tests/installers", "manifest-", ".yaml");
    assert!(tested.is_superset(&cnis), "{cnis:?}, tested: {tested:?}");
}

#[test]
fn the_manifests_are_those_of_the_chart_and_valid_for_all_versions_of_kubernetes() {
    if !TOOLS.found_for_test() {
        return;
    }
    let rendered = render().unwrap();
    assert_eq!(schemas::findings(&rendered).unwrap(), [""; 0]);
    assert_eq!(differing(&of_cnis(rendered), &read().unwrap()), [""; 0], "cargo xtask chart --accept writes them");
}

#[test]
fn an_unknown_field_is_a_finding_for_each_version_of_kubernetes() {
    if !TOOLS.found_for_test() {
        return;
    }
    let object = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\nautomount: true\n";
    let findings = schemas::findings(&[("a.yaml".to_owned(), object.to_owned())].into()).unwrap();
    let expected = schemas::VERSIONS.map(|version| {
        format!("a.yaml: ServiceAccount a, Kubernetes {version}: $: Additional properties are not allowed ('automount' was unexpected)")
    });
    assert_eq!(findings, expected);
}

#[test]
fn a_kind_without_a_schema_is_a_finding() {
    if !TOOLS.found_for_test() {
        return;
    }
    let object = "apiVersion: apps/v1\nkind: DaemonSets\nmetadata: {name: a}\n";
    let findings = schemas::findings(&[("a.yaml".to_owned(), object.to_owned())].into()).unwrap();
    assert_eq!(findings.len(), schemas::VERSIONS.len(), "{findings:?}");
}

#[test]
fn an_error_names_the_value_that_is_wrong() {
    if !TOOLS.found_for_test() {
        return;
    }
    let wrong = [
        ("/cni", json!("weave"), "/cni"),
        ("/apiServer/host", json!(""), "apiServer.host is missing"),
        ("/apiServer/host", json!("https://10.0.0.4:6443"), "/apiServer/host"),
        ("/apiServer/port", json!(0), "/apiServer/port"),
        ("/apiServer/configMap", json!("other"), "apiServer: host and configMap exclude each other"),
        ("/image/digest", json!("latest"), "/image/digest"),
        ("/image/pullPolicy", json!("Sometimes"), "/image/pullPolicy"),
        ("/configuration/winkernel", json!({"networkname": "azure"}), "'networkname'"),
        ("/configuration/winkernel", json!({"enableDSR": "yes"}), "/configuration/winkernel/enableDSR"),
        ("/configuration/healthzBindAddress", json!("0.0.0.0"), "/configuration/healthzBindAddress"),
        ("/extraArgs", json!(["take-over"]), "/extraArgs/0"),
        ("/resources/limits", json!({"memory": "300 MB"}), "/resources/limits/memory"),
        ("/maxUnavailable", json!(0), "/maxUnavailable"),
        ("/maxUnavailable", json!("half"), "/maxUnavailable"),
        ("/maxUnavailable", json!("0%"), "/maxUnavailable"),
        ("/monitoring/podMonitor/interval", json!("often"), "/monitoring/podMonitor/interval"),
        ("/replicas", json!(1), "'replicas'"),
    ];
    let all: Vec<Value> = wrong.iter().map(|(path, value, _)| values(path, value.clone())).collect();
    let rendered = helm::render(&all.iter().collect::<Vec<_>>()).unwrap();
    for ((path, value, name), rendered) in wrong.iter().zip(rendered) {
        let error = rendered.err().unwrap_or_else(|| panic!("{path} = {value} was accepted"));
        assert!(error.contains(name), "{path} = {value}: {name} is not named in {error}");
    }
}

#[test]
fn values_override_those_of_the_cni() {
    if !TOOLS.found_for_test() {
        return;
    }
    let mut values =
        values("/configuration", json!({"winkernel": {"enableDSR": false}, "clientConnection": {"qps": 50}}));
    values["cni"] = "calico".into();
    let rendered = helm::render(&[&values]).unwrap().remove(0).unwrap();
    let map = object(&documents(&manifest::join("", &rendered)), "ConfigMap");
    let configuration: Value = serde_saphyr::from_str(map["data"]["config.yaml"].as_str().unwrap()).unwrap();
    let expected = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "kernelspace",
        "healthzBindAddress": "0.0.0.0:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "clientConnection": {"qps": 50},
        "winkernel": {"networkName": "Calico*", "sourceVip": "auto", "enableDSR": false},
    });
    assert_eq!(configuration, expected);
}

#[test]
fn prometheus_and_grafana_get_the_files_of_deploy_monitoring() {
    if !TOOLS.found_for_test() {
        return;
    }
    let documents = documents(&render().unwrap()[&format!("{MONITORING}.yaml")]);
    let rules: Value = serde_saphyr::from_str(&repository_text("deploy/monitoring/alerts.yaml")).unwrap();
    assert_eq!(object(&documents, "PrometheusRule")["spec"], rules);
    for name in ["fleet", "node"] {
        let map = documents.iter().find(|object| object["metadata"]["name"] == format!("hnsproxy-dashboard-{name}"));
        let map = map.unwrap();
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let dashboard = parse(map["data"][format!("hnsproxy-{name}.json")].as_str().unwrap());
        assert_eq!(dashboard, parse(&repository_text(&format!("deploy/monitoring/dashboard-{name}.json"))));
    }

    let endpoint = json!([{
        "port": "metrics",
        "interval": "30s",
        "relabelings": [
            {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"},
            {"targetLabel": "job", "replacement": "hnsproxy"},
        ],
    }]);
    let pods = json!({"app.kubernetes.io/name": "hnsproxy", "app.kubernetes.io/instance": "hnsproxy"});
    let selector = json!({"matchLabels": pods});
    let spec = |kind| object(&documents, kind)["spec"].clone();
    assert_eq!(spec("PodMonitor"), json!({"selector": selector, "podMetricsEndpoints": endpoint}));
    assert_eq!(spec("ServiceMonitor"), json!({"selector": selector, "endpoints": endpoint}));
    let ports = json!([{"name": "metrics", "port": 10249, "targetPort": "metrics"}]);
    assert_eq!(spec("Service"), json!({"clusterIP": "None", "selector": pods, "ports": ports}));
    let text = object(&documents, "ConfigMap")["data"]["config.yaml"].to_string();
    assert!(text.contains("metricsBindAddress: 0.0.0.0:10249"), "{text}");
}

#[test]
fn the_package_has_the_files_of_the_chart_each_time_with_the_same_bytes() {
    let [first, second] = [(), ()].map(|()| package().unwrap());
    assert!(first == second);
    if !TOOLS.found_for_test() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hnsproxy.tgz");
    fs::write(&file, first).unwrap();
    let script = "
import json, sys
import helm_python as helm
def names(path):
    with helm.Chart.load(path) as chart:
        return {file['name']: file['data'] for file in chart.files + chart.templates}
json.dump([names(path) for path in json.load(sys.stdin)], sys.stdout)";
    let chart = folder::root().unwrap().join(CHART);
    let [packaged, read]: [Value; 2] = crate::tools::CHART_PYTHON.ask(script, &json!([file, chart])).unwrap();
    assert_eq!(packaged, read);
}
