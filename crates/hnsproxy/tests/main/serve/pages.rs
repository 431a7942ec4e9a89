//! The pages at the address of metrics: kube-proxy's, and hnsproxy's own.

use serde_json::{Value, json};

use super::{MIXED, in_sync};
use crate::support::config::ConfigFile;
use crate::support::hns::Hns;
use crate::support::http::{Response, get, get_as, get_at, request, send, wait_for_page};
use crate::support::program::hnsproxy;
use crate::support::recording::cluster_flag;
use crate::support::running::Running;

#[test]
fn pages_of_kube_proxy_have_its_bodies_and_content_types() {
    let (_hns, running) = in_sync(&[]);
    let text = "text/plain; charset=utf-8";
    for (path, body) in
        [("/healthz", "ok"), ("/healthz?verbose", "ok"), ("/healthz/ping", "ok"), ("/proxyMode", "kernelspace")]
    {
        let answer = get(running.metrics, path).unwrap();
        assert_eq!((answer.code, answer.header("content-type"), answer.body.as_str()), (200, text, body), "{path}");
    }
    assert_eq!(get(running.metrics, "/nothing").unwrap().code, 404);
}

#[test]
fn configz_is_the_configuration_in_use() {
    let (_hns, running) = in_sync(&[]);
    let configz = get(running.metrics, "/configz").unwrap();
    let config = &configz.json()["kubeproxy.config.k8s.io"];
    assert_eq!(configz.header("content-type"), "application/json");
    assert_eq!((&config["kind"], &config["winkernel"]["enableDSR"]), (&json!("KubeProxyConfiguration"), &json!(true)));
}

#[test]
fn metrics_count_what_was_programmed() {
    let (hns, running) = in_sync(&[]);
    let metrics = running.metrics_page();
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let load_balancers = Some(hns.load_balancers().len() as f64);
    for series in [
        "hnsproxy_load_balancers_in_sync",
        "hnsproxy_steps_total{action=\"create_load_balancer\",reason=\"missing\",result=\"ok\"}",
        "hnsproxy_hns_call_duration_seconds_count{function=\"HcnCreateLoadBalancer\",result=\"ok\"}",
    ] {
        assert_eq!(metrics.metric(series), load_balancers, "{series}");
    }
    assert!(metrics.metric("kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv6\"}") > Some(0.0));
    assert!(metrics.metric("process_resident_memory_bytes") > Some(1e6));
}

#[test]
fn metrics_are_protobuf_where_that_is_preferred_unless_the_gate_is_off() {
    let protobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let content_type = |flags: &[&str]| {
        let (_hns, running) = in_sync(flags);
        let answer = get_as(protobuf, running.metrics, "/metrics").unwrap();
        assert!(answer.code == 200 && answer.body.contains("hnsproxy_build_info"));
        answer.header("content-type").to_owned()
    };
    assert_eq!(content_type(&[]), protobuf);
    assert_eq!(content_type(&["--feature-gates=NativeHistograms=false"]), "text/plain; version=0.0.4; charset=utf-8");
}

#[test]
fn a_running_program_explains_a_service_as_explain_does_from_files() {
    let (hns, running) = in_sync(&[]);
    let explained = get(running.metrics, "/debug/explain/default/lb-local").unwrap();
    assert_eq!((explained.code, explained.header("content-type")), (200, "application/json"));
    let explain = |flags: &[&str]| {
        hnsproxy(&[&["explain", "svc", "default/lb-local", "-o=json"], flags].concat()).expect(0).json()
    };
    // The age is that of each request.
    let without_age = |mut document: Value| {
        assert!(document["ageSeconds"].is_f64(), "{document:#}");
        document.as_object_mut().unwrap().shift_remove("ageSeconds");
        document
    };
    let explained = without_age(explained.json());
    assert_eq!(explain(&[&cluster_flag(MIXED), &hns.flag(), "--enable-dsr"]), explained);
    assert_eq!(without_age(explain(&[&format!("--debug-address={}", running.metrics)])), explained);
    assert_eq!(get(running.metrics, "/debug/explain/ns/nothing").unwrap().code, 404);
}

#[test]
fn flagz_has_the_flags_that_count() {
    let (_hns, running) = in_sync(&["--master=https://10.0.0.1"]);
    let flagz = get(running.metrics, "/flagz").unwrap().body;
    for line in [
        "kube-proxy flagz",
        "enable-dsr=true",
        "proxy-mode=kernelspace",
        "config-sync-period=15m",
        "master=https://10.0.0.1",
    ] {
        assert!(flagz.lines().any(|found| found.starts_with(line)), "{line} is not in\n{flagz}");
    }
}

#[test]
fn slis_count_the_checks_of_healthz() {
    let (_hns, running) = in_sync(&[]);
    let pings = || {
        let slis = get(running.metrics, "/metrics/slis").unwrap();
        slis.metric("kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"healthz\"}")
    };
    assert_eq!(pings(), Some(0.0));
    get(running.metrics, "/healthz").unwrap();
    assert_eq!(pings(), Some(1.0));
}

fn put_verbosity(running: &Running, verbosity: &str) -> Response {
    send("PUT", running.metrics, "/debug/flags/v", verbosity).unwrap()
}

#[test]
fn with_profiling_the_verbosity_of_the_log_can_be_changed() {
    let (hns, running) = in_sync(&["--profiling", "--hns-audit-interval=0.1", "--log-style=plain"]);
    let refused = put_verbosity(&running, "much");
    assert_eq!(refused.code, 400);
    assert!(refused.body.starts_with("failed set klog.logging.verbosity much: "), "{refused:#?}");
    assert_eq!(get(running.metrics, "/debug/flags/v").unwrap().code, 406);
    let put = put_verbosity(&running, "2");
    assert_eq!((put.code, put.body.as_str()), (200, "successfully set klog.logging.verbosity to 2"));
    // A repaired load balancer is logged with its step at this verbosity.
    let objects = hns.objects();
    hns.remove(&hns.load_balancers()[0]);
    hns.wait_until_objects_are(&objects);
    running.wait_until_in_sync();
    let log = running.kill();
    assert!(log.iter().any(|line| line.contains("DEBUG")), "{log:#?}");
}

#[test]
fn pages_refuse_other_methods_and_large_bodies() {
    let (_hns, running) = in_sync(&["--profiling"]);
    for path in ["/metrics", "/readyz", "/statusz", "/configz", "/flagz", "/proxyMode", "/healthz", "/debug/flags"] {
        let refused = request("POST", running.metrics, path).unwrap();
        assert_eq!((refused.code, refused.header("allow")), (405, "GET,HEAD"), "{path}");
    }
    assert_eq!(request("DELETE", running.metrics, "/metrics/slis").unwrap().body, "metrics reset\n");
    assert_eq!(put_verbosity(&running, &"1".repeat(2000)).code, 413);
}

#[test]
fn pages_that_show_more_than_health_are_refused_under_a_name_of_another_host() {
    let (_hns, running) = in_sync(&["--profiling", "--metrics-allowed-host=win-1.example.org"]);
    let shown = ["/metrics", "/readyz", "/statusz", "/configz", "/flagz", "/debug/flags", "/debug/explain/a/b"];
    for path in shown {
        assert_eq!(get_at("rebound.example:10249", running.metrics, path).unwrap().code, 403, "{path}");
    }
    assert_eq!(get_at("rebound.example:10249", running.metrics, "/healthz").unwrap().code, 200);
    let node = running.state().unwrap()["node"]["name"].as_str().unwrap().to_owned();
    for host in [&node, "localhost:10249", "192.0.2.1", "[2001:db8::1]:10249", "win-1.example.org"] {
        assert_eq!(get_at(host, running.metrics, "/metrics").unwrap().code, 200, "{host}");
    }
}

#[test]
fn there_are_no_profiles_of_a_go_runtime() {
    let (_hns, running) = in_sync(&["--profiling"]);
    assert_eq!(get(running.metrics, "/debug/pprof/").unwrap().code, 404);
}

#[test]
fn pages_that_the_configuration_switches_off_are_not_found() {
    let (_hns, running) = in_sync(&["--feature-gates=ComponentFlagz=false,ComponentStatusz=false"]);
    for path in ["/flagz", "/statusz", "/debug/flags/v", "/debug/pprof/"] {
        assert_eq!(get(running.metrics, path).unwrap().code, 404, "{path}");
    }
}

#[test]
fn configz_follows_the_configuration_file() {
    let (file, hns) = (ConfigFile::new("winkernel: {enableDSR: true}"), Hns::of(MIXED));
    let _running = file.start(&[&cluster_flag(MIXED), &hns.flag()]);
    wait_for_page(file.metrics, "/configz", |answer| answer.code == 200);
    file.write("winkernel: {enableDSR: false}");
    file.wait_until_in_use("\"enableDSR\":false");
}
