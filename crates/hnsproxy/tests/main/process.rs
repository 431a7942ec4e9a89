//! The process: commands, exit codes, following files, ending.

use std::fs;

use serde_json::json;

use crate::program::{Running, command, emulated, from, hnsproxy, recording};

fn boutique() -> (String, String) {
    (from(&recording("boutique-l2bridge", "cluster.json")), emulated(&recording("boutique-l2bridge", "host.json")))
}

#[test]
fn help_and_version_succeed_and_mistakes_fail() {
    let help = hnsproxy(&["run", "--help"]).expect(0).stdout;
    for part in ["Flags of kube-proxy", "--enable-dsr", "--from", "Examples:", "Exit codes"] {
        assert!(help.contains(part), "{part} is not in\n{help}");
    }
    let version = hnsproxy(&["--version"]).expect(0).stdout;
    assert!(version.starts_with("Kubernetes v1.36.") && version.contains("(hnsproxy "), "{version}");
    hnsproxy(&["--no-such-flag"]).expect(1).logs("--no-such-flag");
    hnsproxy(&["no-such-command"]).expect(1);
    // Met before the log begins.
    #[cfg(unix)]
    hnsproxy(&["run", "--windows-service"]).expect(1).logs("Windows");
    hnsproxy(&["run"]).expect(1).logs("--from");
}

#[test]
fn a_configuration_file_programs_and_is_written_as_it_counts() {
    let directory = tempfile::tempdir().unwrap();
    let (file, written) = (directory.path().join("config.yaml"), directory.path().join("effective.yaml"));
    let text = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
        winkernel: {enableDSR: true}\nodd: 1\nipvs: {scheduler: rr}\n";
    fs::write(&file, text).unwrap();
    let config = format!("--config={}", file.display());
    let (from, hns) = boutique();
    let ended = hnsproxy(&[&config, &from, &hns, "--once", "-v=2", "--enable-dsr=false"]).expect(0);
    let ended = ended.logs("decoded leniently: unknown field \"odd\"").logs("--config overrides --enable-dsr");
    let ended = ended.logs("ipvs.scheduler (--ipvs-scheduler) has no effect on Windows");
    assert!(ended.stdout.contains("DSR"), "{}", ended.stdout);

    hnsproxy(&[&config, &format!("--write-config-to={}", written.display())]).expect(0);
    let text = fs::read_to_string(&written).unwrap();
    for part in ["kind: KubeProxyConfiguration", "enableDSR: true", "mode: kernelspace", "syncPeriod: 30s"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    fs::write(&file, text.replace("kernelspace", "ipvs").replace("syncPeriod: 30s", "syncPeriod: -1s")).unwrap();
    let ended = hnsproxy(&[&config, &from, &hns, "--once"]).expect(1);
    ended
        .logs("invalid configuration: ")
        .logs("Mode.ProxyMode: invalid value \"ipvs\"")
        .logs("SyncPeriod: invalid value \"-1s\"");
    hnsproxy(&["--config=nowhere.yaml"]).expect(1).logs("cannot read configuration file nowhere.yaml: ");
    hnsproxy(&["--init-only"]).expect(1).logs("implemented only on Linux");
}

#[test]
fn plan_says_whether_anything_differs() {
    let (from, hns) = boutique();
    let plan = hnsproxy(&["plan", &from, &hns, "-o=json"]).expect(2).json();
    let steps = plan["steps"].as_array().unwrap();
    assert!(!steps.is_empty() && steps.iter().all(|step| step["why"] == "HNS has none"), "{plan:#}");
    assert!(plan["note"].as_str().unwrap().contains("emulated HNS"), "{plan:#}");
    let text = hnsproxy(&["plan", &from, &hns]).expect(2).stdout;
    assert!(
        text.contains("create load balancer 10.96.0.10:53/UDP with 2 backends\n    because HNS has none"),
        "{text}"
    );

    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("host.json");
    hnsproxy(&["run", &from, &hns, "--once", "--save-hns", saved.to_str().unwrap()]).expect(0);
    let text = hnsproxy(&["plan", &from, &emulated(&saved)]).expect(0).stdout;
    assert!(text.ends_with("no changes\n"), "{text}");
}

#[test]
fn state_shows_what_run_has_left() {
    let (from, hns) = boutique();
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("host.json");
    let run =
        hnsproxy(&["run", &from, &hns, "--once", "-o=json", "--save-hns", saved.to_str().unwrap()]).expect(0).json();
    let state = hnsproxy(&["state", &emulated(&saved), "-o=json"]).expect(0).json();
    assert_eq!((&state["endpoints"], &state["loadBalancers"]), (&run["endpoints"], &run["loadBalancers"]));
    let table = hnsproxy(&["state", &emulated(&saved)]).expect(0).stdout;
    assert!(table.contains("emulated HNS") && table.contains("10.96.0.10:53/UDP"), "{table}");
}

#[test]
fn a_table_names_services() {
    let (from, hns) = boutique();
    let table = hnsproxy(&["run", &from, &hns, "--once", "--enable-dsr"]).expect(0).stdout;
    let row =
        table.lines().find(|line| line.contains("kube-system/kube-dns:dns ")).unwrap_or_else(|| panic!("{table}"));
    for part in ["cluster IP", "10.96.0.10:53/UDP", "port 53", "DSR"] {
        assert!(row.contains(part), "{part} is not in {row}");
    }
}

#[test]
fn a_network_that_is_not_there_is_named_with_its_flag() {
    let (from, hns) = boutique();
    let ended = hnsproxy(&[&from, &hns, "--once", "--network_name=other"]).expect(1);
    ended.logs("network \"other\" not found in HNS").logs("--network-name or KUBE_NETWORK");
}

#[test]
fn ranges_of_another_family_than_the_nodes_change_nothing() {
    let file = |name| recording("boutique-overlay", name);
    let (from, hns) = (from(&file("cluster.json")), emulated(&file("host.json")));
    let held = |ranges: &[&str]| {
        let flags = [from.as_str(), &hns, "--once", "-o=json", "--source-vip=10.244.1.9"];
        hnsproxy(&[&flags, ranges].concat()).expect(0).json()
    };
    let ranges = ["--detect-local-mode=ClusterCIDR", "--cluster-cidr=fd00::/48", "--nodeport-addresses=fd00::/48"];
    assert_eq!(held(&ranges), held(&[]));
    // A source address does matter, and HNS has the word.
    let running = Running::start(&[&from, &hns, "--source-vip=fd00::9"]);
    running.wait_for("create endpoint for the source address fd00::9: HNS has none: HcnCreateEndpoint failed");
}

#[test]
fn several_networks_are_programmed_and_one_that_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (cluster, host) = (directory.path().join("cluster.yaml"), directory.path().join("host.json"));
    let network = |id: u8, name: &str, prefix: &str| {
        json!({"_kind": "Network", "ID": format!("7b60c1d9-602e-5110-8c89-a9475b8973{id:02}"), "Name": name, "Type": "L2Bridge",
               "Ipams": [{"Subnets": [{"IpAddressPrefix": prefix}]}]})
    };
    let networks = [network(1, "cbr0", "10.244.1.0/24"), network(2, "Azure net", "10.245.1.0/24")];
    let text = json!({"hnsVersion": "15.5", "node": "here", "nodeIPs": ["192.168.77.1"], "objects": networks});
    fs::write(&host, text.to_string()).unwrap();
    let service = "kind: Service\napiVersion: v1\nmetadata: {namespace: ns, name: web}\n\
        spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}\n";
    let slice = "kind: EndpointSlice\napiVersion: discovery.k8s.io/v1\naddressType: IPv4\nports: [{name: '', port: 80}]\n\
        metadata: {namespace: ns, name: web-1, labels: {kubernetes.io/service-name: web}}\n\
        endpoints: [{addresses: [10.245.1.7]}, {addresses: [10.245.1.8]}, {addresses: [10.9.9.9]}]\n";
    fs::write(&cluster, format!("{service}---\n{slice}")).unwrap();
    let (from, hns) = (from(&cluster), emulated(&host));

    let run = |names: &str| hnsproxy(&[&from, &hns, "--once", "-o=json", &format!("--network-name={names}")]);
    let ended = run("cbr0, azure net").expect(0).logs("those in \"azure net\" serve, the others (1) are left out");
    let held = ended.json();
    assert_eq!(held["loadBalancers"][0]["backends"], json!(["10.245.1.7", "10.245.1.8"]));
    assert!(held["note"].as_str().unwrap().contains("--network-name=cbr0,azure net"), "{held:#}");
    let held = run("cbr0,other").expect(0).logs("network \"other\" not found in HNS").json();
    assert_eq!(held["loadBalancers"][0]["backends"], json!(["10.245.1.7", "10.245.1.8", "10.9.9.9"]));
    run("other,another").expect(1).logs("network \"other\" not found in HNS");

    let ended = command(&[&from, &hns, "--once"]).env("KUBE_NETWORK", "Azure net,cbr0").output().unwrap();
    assert!(ended.status.success());
    assert!(String::from_utf8(ended.stdout).unwrap().contains("10.245.1.7"));
    hnsproxy(&[&from, &hns, "--once"]).expect(1).logs("(the host has: cbr0, Azure net)");
}

#[test]
fn an_hns_without_v2_is_used_by_its_first_generation() {
    let directory = tempfile::tempdir().unwrap();
    let host = directory.path().join("host.json");
    let text = fs::read_to_string(recording("boutique-l2bridge", "host.json")).unwrap();
    fs::write(&host, text.replace("\"15.5\"", "\"7.2\"")).unwrap();
    let (from, hns) = (boutique().0, emulated(&host));
    let held = hnsproxy(&[&from, &hns, "--once", "-o=json", "--save-hns", host.to_str().unwrap()]).expect(0).json();
    assert!(held["note"].as_str().unwrap().contains("through the HNS v1 API"), "{held:#}");
    assert_eq!(held["loadBalancers"].as_array().unwrap().len(), 22);
    assert_eq!(hnsproxy(&["state", &hns, "-o=json"]).expect(0).json()["loadBalancers"], held["loadBalancers"]);
    assert_eq!(hnsproxy(&[&from, &hns, "--once"]).expect(0).count("writes"), 0);
}

#[cfg(unix)]
#[test]
fn files_are_followed_and_a_signal_ends_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.yaml");
    let service = |port| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{namespace: ns, name: a}}\n\
             spec: {{clusterIP: 10.96.9.9, ports: [{{port: {port}}}]}}\n---\n\
             apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
             metadata: {{namespace: ns, name: a-1, labels: {{kubernetes.io/service-name: a}}}}\n\
             ports: [{{name: '', port: 8080}}]\nendpoints: [{{addresses: [10.244.7.7]}}]\n"
        )
    };
    fs::write(&file, service(80)).unwrap();
    let (_, hns) = boutique();
    let running = Running::start(&[&from(&file), &hns, "-v=2"]);
    running.wait_for("create load balancer 10.96.9.9:80/TCP");
    fs::write(&file, "kind: [").unwrap();
    running.wait_for("keeping its last content");
    fs::write(&file, service(81)).unwrap();
    running.wait_for("create load balancer 10.96.9.9:81/TCP");
    running.end();
}
