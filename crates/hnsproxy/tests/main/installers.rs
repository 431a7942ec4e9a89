//! The command lines by which installers start kube-proxy start hnsproxy, and what it logs as JSON.

use std::fs;

use serde_json::Value;

use crate::program::{Ended, command, emulated, ended, from, hnsproxy, recording};

/// A file of an installer.
fn file(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/installers").join(name);
    fs::read_to_string(path).unwrap()
}

/// Ends as the command line of an installer does, with the host of a recording whose network has a name.
fn start(installer: &str, host: &str, network: &str) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(recording(host, "host.json")).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let networks = document["objects"].as_array_mut().unwrap().iter_mut().filter(|object| object["_kind"] == "Network");
    networks.for_each(|object| object["Name"] = network.into());
    let hns = directory.path().join("host.json");
    fs::write(&hns, document.to_string()).unwrap();
    fs::write(directory.path().join("c.yaml"), file("kubeadm.yaml")).unwrap();

    let (line, cluster, hns) = (file(installer), from(&recording(host, "cluster.json")), emulated(&hns));
    // Only the service control manager can start it with --windows-service.
    let flags = line.lines().filter(|line| line.starts_with("--") && !line.starts_with("--windows-service"));
    let arguments: Vec<&str> = flags.chain([cluster.as_str(), &hns, "--once", "-o=json"]).collect();
    ended(command(&arguments).current_dir(&directory).env("KUBE_NETWORK", network))
}

#[test]
fn every_installers_command_line_programs_hns() {
    for (installer, host, network) in [
        ("aks", "boutique-l2bridge", "azure"),
        ("eks", "boutique-l2bridge", "vpcbr1"),
        ("eks-earlier", "boutique-l2bridge", "vpcbr1"),
        ("gke", "boutique-l2bridge", "l2bridge"),
        ("rke2", "boutique-overlay", "Calico"),
        ("sig-windows-tools-calico", "boutique-overlay", "Calico"),
        ("sig-windows-tools-flannel", "boutique-overlay", "flannel.4096"),
        ("kubeadm", "boutique-l2bridge", "cbr0"),
    ] {
        let held = start(installer, host, network).expect(0).json();
        assert!(held["loadBalancers"].as_array().unwrap().len() > 20, "{installer}: {held:#}");
        let named = format!("--network-name={network}");
        assert!(held["note"].as_str().unwrap().contains(&named), "{installer}: {held:#}");
    }
}

#[test]
fn each_line_of_a_log_as_json_is_json() {
    let (cluster, hns) = (recording("boutique-l2bridge", "cluster.json"), recording("boutique-l2bridge", "host.json"));
    let flags = ["--once", "--logging-format=json", "-v=6", "--feature-gates=Unknown=true,LoggingBetaOptions=false"];
    let ended = hnsproxy(&[&[from(&cluster).as_str(), &emulated(&hns)], &flags[..]].concat()).expect(0);
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let levels: Vec<_> = lines.iter().map(|line| line["level"].as_str().unwrap()).collect();
    assert!(["INFO", "WARN", "DEBUG"].iter().all(|level| levels.contains(level)), "{levels:?}");
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["message"].is_string()), "{lines:#?}");
}
