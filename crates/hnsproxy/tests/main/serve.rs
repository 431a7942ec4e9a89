//! What the program answers over HTTP: health checks of the node and of Services, and the pages at the address of metrics.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use hcn_emulator::faults::{Effect, Fault, Which};
use serde_json::json;

use crate::hns::Hns;
use crate::http::{ask, get, wait};
use crate::program::{Running, free_addresses, from, hnsproxy, recording, until};

fn boutique() -> String {
    from(&recording("boutique-l2bridge", "cluster.json"))
}

/// A cluster of one Service with a health check, and its backends: whether each is ready, and on this node.
fn write_cluster(path: &Path, port: Option<u16>, backends: &[(bool, &str)], taint: &str) {
    let check = port.map_or(
        json!({"type": "ClusterIP"}),
        |port| json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port}),
    );
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": "web"},
        "spec": {"clusterIP": "10.96.9.9", "ports": [{"port": 80, "nodePort": 30080}]}});
    service["spec"].as_object_mut().unwrap().extend(check.as_object().unwrap().clone());
    let endpoints: Vec<_> = backends
        .iter()
        .enumerate()
        .map(|(index, (ready, node))| {
            json!({"addresses": [format!("10.244.7.{}", index + 1)], "nodeName": node, "conditions": {"ready": ready}})
        })
        .collect();
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "ns", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"name": "", "port": 8080}], "endpoints": endpoints});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "win-1"},
        "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}]}});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [service, slice, node]});
    std::fs::write(path, list.to_string()).unwrap();
}

#[test]
fn health_is_answered_while_hns_does_not_answer() {
    let hns = Hns::of("boutique-l2bridge");
    let hang = Fault { which: Which::Any, from: 1, every: 1, effect: Effect::Delay(Duration::from_secs(3600)) };
    hns.emulator.inject(hang);
    // Changes may wait for twice the sync period.
    let running = Running::start(&[&boutique(), &hns.flag(), "--iptables-sync-period=2s"]);
    let livez = wait(running.health, "/livez", |_| true);
    assert_eq!((livez.code, livez.header("content-type")), (200, "application/json"), "{livez:#?}");
    assert_eq!(livez.header("x-content-type-options"), "nosniff");
    let healthz = wait(running.health, "/healthz", |answer| answer.code == 200).json();
    assert_eq!(healthz["nodeEligible"], json!(true));
    let readyz = get(running.metrics, "/readyz").unwrap();
    assert_eq!((readyz.code, &readyz.json()["in_sync"]), (503, &json!(false)), "{readyz:#?}");
    // A question is for the thread that waits for HNS: it is not answered, and that is said.
    let explained = get(running.metrics, "/debug/explain/kube-system/kube-dns").unwrap();
    assert!(explained.code == 503 && explained.body.contains("HNS does not answer"), "{explained:#?}");
    let late = wait(running.health, "/livez", |answer| answer.code == 503).json();
    assert_eq!((&late["healthy"], &late["status"]["IPv4"]["healthy"]), (&json!(false), &json!(false)));
    let metrics = get(running.metrics, "/metrics").unwrap().body;
    assert!(metrics.contains("kubeproxy_proxy_livez_total{code=\"503\"} 1"), "{metrics}");
}

#[test]
fn a_node_that_is_to_go_is_told_to_load_balancers() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.json");
    write_cluster(&file, None, &[], "os");
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&from(&file), &hns.flag(), "--hostname-override=win-1"]);
    let healthz = wait(running.health, "/healthz", |answer| answer.code == 200);
    let keys: Vec<_> = healthz.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["lastUpdated", "currentTime", "nodeEligible", "healthy", "status"], "{healthz:#?}");
    write_cluster(&file, None, &[], "ToBeDeletedByClusterAutoscaler");
    let healthz = wait(running.health, "/healthz", |answer| answer.code == 503).json();
    assert_eq!((&healthz["nodeEligible"], &healthz["healthy"]), (&json!(false), &json!(true)));
    assert_eq!(get(running.health, "/livez").unwrap().code, 200);
    assert_eq!(ask("POST", running.health, "/livez").unwrap().code, 200);
    assert_eq!(get(running.health, "/other").unwrap().code, 404);
}

#[test]
fn the_health_check_of_a_service_follows_its_backends() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.json");
    let [check, other] = free_addresses();
    write_cluster(&file, Some(check.port()), &[(true, "win-1"), (true, "lin-1")], "os");
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&from(&file), &hns.flag(), "--hostname-override=win-1"]);
    let one = wait(check, "/any/path", |answer| answer.code == 200);
    let body = "{\n\t\"service\": {\n\t\t\"namespace\": \"ns\",\n\t\t\"name\": \"web\"\n\t},\n\t\"localEndpoints\": 1,\n\t\"serviceProxyHealthy\": true\n}";
    assert_eq!(one.body, body);
    assert_eq!(one.header("content-type"), "application/json");
    assert_eq!(one.header("x-content-type-options"), "nosniff");
    assert_eq!(one.header("x-load-balancing-endpoint-weight"), "1");

    write_cluster(&file, Some(check.port()), &[(true, "win-1"), (true, "win-1")], "os");
    wait(check, "/", |answer| answer.code == 200 && answer.header("x-load-balancing-endpoint-weight") == "2");
    write_cluster(&file, Some(check.port()), &[(false, "win-1"), (true, "lin-1")], "os");
    let none = wait(check, "/", |answer| answer.code == 503);
    assert_eq!((&none.json()["localEndpoints"], none.header("x-load-balancing-endpoint-weight")), (&json!(0), "0"));

    // Another port, on which another program listens at first.
    let taken = TcpListener::bind(("0.0.0.0", other.port())).unwrap();
    write_cluster(&file, Some(other.port()), &[(true, "win-1")], "os");
    running.wait_for("the health check of Service ns/web can't listen at 0.0.0.0:");
    assert_eq!(get(check, "/"), None);
    drop(taken);
    wait(other, "/", |answer| answer.code == 200);
    write_cluster(&file, None, &[(true, "win-1")], "os");
    until("the port is closed", || get(other, "/").is_none());
}

#[test]
fn each_family_of_a_service_has_its_own_health_check() {
    let Ok(taken) = TcpListener::bind("[::1]:0") else {
        eprintln!("skipped: this host has no IPv6");
        return;
    };
    drop(taken);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.json");
    let [four] = free_addresses();
    let slice = |name: &str, family: &str, backends: &[&str]| {
        let backends: Vec<_> = backends.iter().map(|ip| json!({"addresses": [ip], "nodeName": "win-1"})).collect();
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
            "metadata": {"namespace": "ns", "name": name, "labels": {"kubernetes.io/service-name": "web"}},
            "ports": [{"name": "", "port": 8080}], "endpoints": backends})
    };
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": "web"},
        "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": four.port(),
            "clusterIP": "10.96.9.9", "clusterIPs": ["10.96.9.9", "fd00:96::9"], "ipFamilies": ["IPv4", "IPv6"],
            "ports": [{"port": 80}]}});
    let items =
        [service, slice("web-4", "IPv4", &["10.244.7.1", "10.244.7.2"]), slice("web-6", "IPv6", &["fd00:244::1"])];
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).unwrap();
    let hns = Hns::of("mixed-l2bridge");
    let _running = Running::start(&[&from(&file), &hns.flag(), "--hostname-override=win-1"]);
    let six = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), four.port());
    for (address, local) in [(four, "2"), (six, "1")] {
        let answer = wait(address, "/", |answer| answer.code == 200);
        assert_eq!(answer.header("x-load-balancing-endpoint-weight"), local, "{address}: {answer:#?}");
    }
}

#[test]
fn an_address_that_is_taken_is_named_and_tried_again_or_ends_the_program() {
    let hns = Hns::of("boutique-l2bridge");
    let [address] = free_addresses();
    let taken = TcpListener::bind(address).unwrap();
    let flag = format!("--healthz-bind-address={address}");
    let [metrics] = free_addresses();
    let metrics_flag = format!("--metrics-bind-address={metrics}");
    let ended = hnsproxy(&[&boutique(), &hns.flag(), &flag, &metrics_flag, "--bind-address-hard-fail"]).expect(1);
    ended.logs(&format!("/healthz can't listen at {address}; is another program there?"));

    let running = Running::start_at(address, metrics, &[&boutique(), &hns.flag()]);
    running.wait_for(&format!("/healthz can't listen at {address}: "));
    until("HNS is programmed all the same", || hns.load_balancers().len() > 20);
    drop(taken);
    wait(address, "/healthz", |answer| answer.code == 200);
}

#[test]
fn pages_are_those_of_kube_proxy_and_tell_how_things_stand() {
    let hns = Hns::of("mixed-l2bridge");
    let cluster = from(&recording("mixed-l2bridge", "cluster.json"));
    let running = Running::start(&[&cluster, &hns.flag(), "--enable-dsr", "--version=v1.36.2-here"]);
    let readyz = wait(running.metrics, "/readyz", |answer| answer.code == 200).json();
    let wanted = &readyz["load_balancers"];
    assert_eq!((&wanted["desired"], &wanted["confirmed"]), (&json!(hns.load_balancers().len()), &wanted["desired"]));
    assert_eq!((&readyz["waiting_for"], &readyz["hns"]["liveness"]), (&json!([]), &json!("up")));
    let capabilities =
        json!({"direct_server_return": true, "session_affinity": true, "ipv6": true, "modify_load_balancer": true});
    assert_eq!(readyz["hns"]["capabilities"], capabilities);

    let text = "text/plain; charset=utf-8";
    for (path, body) in
        [("/healthz", "ok"), ("/healthz?verbose", "ok"), ("/healthz/ping", "ok"), ("/proxyMode", "kernelspace")]
    {
        let answer = get(running.metrics, path).unwrap();
        assert_eq!((answer.code, answer.header("content-type"), answer.body.as_str()), (200, text, body), "{path}");
    }
    let configz = get(running.metrics, "/configz").unwrap();
    let config = &configz.json()["kubeproxy.config.k8s.io"];
    assert_eq!(configz.header("content-type"), "application/json");
    assert_eq!((&config["kind"], &config["winkernel"]["enableDSR"]), (&json!("KubeProxyConfiguration"), &json!(true)));
    let statusz = get(running.metrics, "/statusz").unwrap();
    assert!(statusz.body.starts_with("kube-proxy statusz\n"), "{statusz:#?}");
    for part in [
        "\nBinary version: v1.36.2-here (hnsproxy ",
        "\nPaths: /configz /debug/explain/NAMESPACE/NAME /flagz /healthz /metrics /metrics/slis /proxyMode /readyz\n",
        "emulated HNS",
        "\nHNS capabilities: direct server return: yes, session affinity: yes, IPv6: yes, load balancers modified in place: yes\n",
    ] {
        assert!(statusz.body.contains(part), "{part:?} is not in\n{}", statusz.body);
    }
    assert_eq!(get(running.metrics, "/nothing").unwrap().code, 404);

    let metrics = get(running.metrics, "/metrics").unwrap();
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let value = |series: &str| {
        let line = metrics.body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is not in\n{}", metrics.body)).parse::<f64>().unwrap()
    };
    assert_eq!(value("hnsproxy_load_balancers_confirmed"), hns.load_balancers().len() as f64);
    let created = "hnsproxy_steps_total{action=\"create_load_balancer\",reason=\"missing\",result=\"ok\"}";
    assert_eq!(value(created), hns.load_balancers().len() as f64);
    let calls = "hnsproxy_hns_call_duration_seconds_count{function=\"HcnCreateLoadBalancer\",result=\"ok\"}";
    assert_eq!(value(calls), hns.load_balancers().len() as f64);
    assert!(value("kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv6\"}") > 0.0);
    assert!(value("process_resident_memory_bytes") > 1e6);

    let path = "/debug/explain/default/lb-local";
    let explained = get(running.metrics, path).unwrap();
    assert_eq!((explained.code, explained.header("content-type")), (200, "application/json"));
    let from_files = ["explain", "svc", "default/lb-local", &cluster, &hns.flag(), "--enable-dsr", "-o=json"];
    assert_eq!(explained.json(), hnsproxy(&from_files).expect(0).json());
    let address = format!("--debug-address={}", running.metrics);
    let asked = hnsproxy(&["explain", "svc", "default/lb-local", &address, "-o=json"]).expect(0);
    assert_eq!(asked.json(), explained.json());
    hnsproxy(&["explain", "svc", "ns/nothing", &address]).expect(1).logs("there is no Service ns/nothing");
}

#[test]
fn what_may_be_asked_and_changed_is_what_the_configuration_allows() {
    let hns = Hns::of("boutique-l2bridge");
    let flags = ["--profiling", "--enable-dsr", "--master=https://10.0.0.1"];
    let running = Running::start(&[&[boutique().as_str(), &hns.flag()], &flags[..]].concat());
    let flagz = wait(running.metrics, "/flagz", |answer| answer.code == 200).body;
    for line in [
        "kube-proxy flagz",
        "enable-dsr=true",
        "proxy-mode=kernelspace",
        "config-sync-period=15m",
        "master=https://10.0.0.1",
    ] {
        assert!(flagz.lines().any(|found| found.starts_with(line)), "{line} is not in\n{flagz}");
    }
    let slis = get(running.metrics, "/metrics/slis").unwrap().body;
    assert!(slis.ends_with("{name=\"ping\",status=\"success\",type=\"healthz\"} 0\n"), "{slis}");
    get(running.metrics, "/healthz").unwrap();
    let slis = get(running.metrics, "/metrics/slis").unwrap().body;
    assert!(slis.ends_with(" 1\n"), "{slis}");

    let put = |body: &str| crate::http::send("PUT", running.metrics, "/debug/flags/v", body).unwrap();
    let refused = put("much");
    assert!(
        refused.code == 400 && refused.body.starts_with("failed set klog.logging.verbosity much: "),
        "{refused:#?}"
    );
    assert_eq!(get(running.metrics, "/debug/flags/v").unwrap().code, 406);
    assert_eq!(get(running.metrics, "/debug/pprof/").unwrap().code, 404);
    assert_eq!(put("2").body, "successfully set klog.logging.verbosity to 2");
    wait(running.metrics, "/readyz", |answer| answer.code == 200);
    hns.remove(&hns.load_balancers()[0]);
    running.wait_for("create load balancer");

    let gates = "--feature-gates=ComponentFlagz=false,ComponentStatusz=false";
    let running = Running::start(&[&boutique(), &hns.flag(), gates]);
    wait(running.metrics, "/healthz", |answer| answer.code == 200);
    for path in ["/flagz", "/statusz", "/debug/flags/v", "/debug/pprof/"] {
        assert_eq!(get(running.metrics, path).unwrap().code, 404, "{path}");
    }
}

#[cfg(unix)]
#[test]
fn addresses_follow_the_configuration() {
    let hns = Hns::of("boutique-l2bridge");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    let [before, after, metrics] = free_addresses();
    let write = |health: SocketAddr| {
        let text = format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
             healthzBindAddress: {health}\nmetricsBindAddress: {metrics}\nwinkernel: {{enableDSR: true}}\n"
        );
        std::fs::write(&path, text).unwrap();
    };
    write(before);
    let config = format!("--config={}", path.display());
    let running = Running::start(&[&config, &boutique(), &hns.flag()]);
    wait(before, "/livez", |answer| answer.code == 200);
    wait(metrics, "/readyz", |answer| answer.code == 200);
    hns.emulator.reset_journal();
    write(after);
    wait(after, "/livez", |answer| answer.code == 200);
    assert_eq!(get(before, "/livez"), None);
    let configz = wait(metrics, "/configz", |answer| answer.body.contains(&after.to_string())).json();
    assert_eq!(configz["kubeproxy.config.k8s.io"]["healthzBindAddress"], json!(after.to_string()));
    wait(metrics, "/readyz", |answer| answer.code == 200);
    assert_eq!(hns.emulator.writes(), 0);
    running.end();
}
