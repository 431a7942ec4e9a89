//! Inputs from public bug reports, in the folders of `tests/reported`. Each test has the name of its folder.

mod configurations;
mod follow;
mod live;

use std::path::{Path, PathBuf};

use hcn::Kind;
use hcn_emulator::Host;
use serde_json::{Value, json};

use crate::support::hns::Hns;
use crate::support::program::{Ended, command, emulated, ended, from, hnsproxy};
use crate::support::running::Running;

fn input(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reported").join(path)
}

/// An L2Bridge network, node `win-1`, pods 10.244.1.x.
fn hns() -> Hns {
    let host: Host = serde_json::from_str(&std::fs::read_to_string(input("host.json")).unwrap()).unwrap();
    Hns::on(&host)
}

/// Programs an HNS from a file or directory.
fn once(path: &Path, hns: &Hns) -> Ended {
    hnsproxy(&["run", &from(path), &hns.flag(), "--enable-dsr=true", "--once"]).expect(0)
}

/// The load balancers that a file or directory leads to.
fn programmed(path: &str) -> Vec<String> {
    let hns = hns();
    once(&input(path), &hns);
    load_balancers(&hns)
}

/// `ADDRESS:PORT/PROTOCOL -> BACKENDS port PORT` of each load balancer, sorted. The address of a node port is `*`.
fn load_balancers(hns: &Hns) -> Vec<String> {
    let endpoints = hns.emulator.documents(Kind::Endpoint);
    let describe = |document: &Value| {
        let mapping = &document["PortMappings"][0];
        let frontend = document["FrontendVIPs"][0].as_str().unwrap_or("*");
        let protocol = if mapping["Protocol"] == 6 { "TCP" } else { "UDP" };
        // The flag of IPv6.
        let is_v6 = document["Flags"].as_u64().unwrap_or_default() & 2 != 0;
        let address = |id: &Value| {
            let endpoint = endpoints.iter().find(|endpoint| endpoint["ID"] == *id).unwrap();
            let addresses = endpoint["IpConfigurations"].as_array().unwrap().iter();
            let mut texts = addresses.filter_map(|address| address["IpAddress"].as_str());
            texts.find(|text| text.contains(':') == is_v6).unwrap().to_owned()
        };
        let mut backends: Vec<_> = document["HostComputeEndpoints"].as_array().unwrap().iter().map(address).collect();
        backends.sort();
        let (external, internal) = (&mapping["ExternalPort"], &mapping["InternalPort"]);
        format!("{frontend}:{external}/{protocol} -> {} port {internal}", backends.join(", "))
    };
    let mut all: Vec<_> = hns.load_balancers().iter().map(describe).collect();
    all.sort();
    all
}

/// The reason of each condition that `explain` shows for a Service of a file.
fn condition_reasons(path: &str, service: &str) -> Vec<String> {
    let explain =
        hnsproxy(&["explain", "svc", service, &from(&input(path)), &emulated(&input("host.json")), "-o=json"]);
    let json = explain.expect(0).json();
    json["conditions"].as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn case_01_manual_slice_no_name() {
    assert_eq!(
        programmed("01-manual-slice-no-name/in.yaml"),
        ["10.96.10.1:5432/TCP -> 172.20.3.4, 172.20.3.5 port 15432"]
    );
}

#[test]
fn case_02_reused_ip() {
    for file in [
        "a-old-new",
        "b-new-old",
        "c-oldserving-new",
        "d-new-oldserving",
        "f-new-notready",
        "g-notready-new",
        "j-both-ready-local-first",
    ] {
        assert_eq!(
            programmed(&format!("02-reused-ip/{file}.yaml")),
            ["*:30080/TCP -> 10.244.1.12 port 8080", "10.96.10.2:80/TCP -> 10.244.1.12 port 8080"],
            "{file}"
        );
    }
    // No record is ready. The record of the pod that is not terminating counts, since the address belongs to that pod.
    assert_eq!(programmed("02-reused-ip/e-oldserving-newnotready.yaml"), Vec::<String>::new());
}

#[test]
fn case_03_encodings() {
    let expected = ["10.96.10.3:80/TCP -> 10.244.2.9 port 8080"];
    for file in
        ["plain.json", "utf8bom.json", "utf16le.json", "crlf.yaml", "utf8bom.yaml", "utf16le.yaml", "utf16be.yaml"]
    {
        assert_eq!(programmed(&format!("03-encodings/{file}")), expected, "{file}");
    }
    for file in ["conf-crlf", "conf-utf8bom", "conf-utf16le"] {
        let hns = hns();
        let config = format!("--config={}", input("03-encodings").join(file).display());
        hnsproxy(&["run", &config, &from(&input("03-encodings/svc.yaml")), &hns.flag(), "--once"]).expect(0);
        assert_eq!(load_balancers(&hns), expected, "{file}");
    }
}

#[test]
fn case_05_headless_externalip() {
    assert_eq!(programmed("05-headless-externalip/in.yaml"), Vec::<String>::new());
}

#[test]
fn case_07_sloppy_addresses() {
    assert_eq!(
        programmed("07-sloppy-addresses/in.yaml"),
        [
            "10.96.0.7:80/TCP -> 10.244.2.9 port 8080",
            "10.96.0.8:80/TCP -> 10.244.2.10 port 8080",
            "198.51.100.7:80/TCP -> 10.244.2.9 port 8080",
            "203.0.113.7:80/TCP -> 10.244.2.9 port 8080",
        ]
    );
}

#[test]
fn case_08_odd_slices() {
    let hns = hns();
    let ended = once(&input("08-odd-slices/in.yaml"), &hns);
    assert_eq!(load_balancers(&hns), ["10.96.10.8:80/TCP -> 10.244.2.20, 10.244.2.22 port 8080"]);
    for slice in ["web-foreign", "web-nolabel"] {
        assert!(ended.stderr.contains(slice), "{}", ended.stderr);
    }
}

#[test]
fn case_09_yaml11() {
    assert_eq!(programmed("09-yaml11/in.yaml"), ["10.96.10.9:80/TCP -> 10.244.2.9 port 8080"]);
    // The ports of Service and slice have different protocols.
    assert_eq!(programmed("09-yaml11/v.yaml"), Vec::<String>::new());
}

#[test]
fn case_10_node_address_vip() {
    let backends = "-> 10.244.1.11, 10.244.2.9 port 8080";
    let all = programmed("10-node-address-vip/in.yaml");
    // Some load balancers report the addresses of nodes as their own.
    for frontend in ["192.168.77.1:8080/TCP", "192.168.77.9:8080/TCP", "10.96.10.10:8080/TCP", "*:30080/TCP"] {
        assert!(all.contains(&format!("{frontend} {backends}")), "{frontend}: {all:?}");
    }
    let mut of_self: Vec<_> =
        all.iter().filter_map(|one| one.split_once(":80/TCP")).map(|(address, _)| address).collect();
    of_self.sort_unstable();
    assert_eq!(of_self, ["10.244.2.9", "10.96.10.11"]);
    let reasons = condition_reasons("10-node-address-vip/in.yaml", "kube-system/self");
    assert_eq!(reasons.iter().filter(|reason| *reason == "AddressForbidden").count(), 5, "{reasons:?}");
}

#[test]
fn case_11_manifest_defaults() {
    assert_eq!(programmed("11-manifest-defaults/in.yaml"), ["10.96.10.12:80/TCP -> 10.244.2.9 port 8080"]);
}

#[test]
fn case_13_command_lines() {
    for name in ["win-1", "WIN-1", " Win-1 "] {
        let hns = hns();
        let (cluster, node) = (from(&input("13-command-lines/node.yaml")), format!("--hostname-override={name}"));
        hnsproxy(&["run", &cluster, &hns.flag(), &node, "--network-name=CBR0", "--once"]).expect(0);
        assert_eq!(load_balancers(&hns), ["10.96.10.3:80/TCP -> 10.244.1.11 port 8080"], "{name:?}");
    }
    // The flags of DebugProxy.ps1 of K2s, some of which kube-proxy has removed.
    let (hns, node) = (hns(), from(&input("13-command-lines/node.yaml")));
    let mut k2s = command(&[
        "--v=6",
        "--proxy-mode=kernelspace",
        "--hostname-override=WIN-1",
        "--kubeconfig=C:\\k\\config",
        "--enable-dsr=false",
        "--log-dir=C:\\var\\log\\kubeproxy",
        "--logtostderr=true",
        &node,
        &hns.flag(),
        "--once",
    ]);
    ended(k2s.env("KUBE_NETWORK", "cbr0")).expect(0);
    assert_eq!(load_balancers(&hns), ["10.96.10.3:80/TCP -> 10.244.1.11 port 8080"]);
}

#[test]
fn case_18_real_dirs() {
    #[cfg(unix)]
    {
        let (directory, hns) = (tempfile::tempdir().unwrap(), hns());
        std::fs::copy(input("18-real-dirs/e3/svc.yaml"), directory.path().join("svc.yaml")).unwrap();
        std::os::unix::fs::symlink("/nonexistent", directory.path().join("dangling.yaml")).unwrap();
        assert!(once(directory.path(), &hns).stderr.contains("dangling.yaml"));
        assert_eq!(load_balancers(&hns), ["10.96.10.3:80/TCP -> 10.244.2.9 port 8080"]);
    }
    for (name, left_out) in [("e1", "broken.yml"), ("e2", "tpl.yaml"), ("e4", "text.yaml"), ("e5", "")] {
        let hns = hns();
        let ended = once(&input("18-real-dirs").join(name), &hns);
        assert_eq!(load_balancers(&hns), ["10.96.10.3:80/TCP -> 10.244.2.9 port 8080"], "{name}");
        assert!(ended.stderr.contains(left_out), "{}", ended.stderr);
    }
    // The last of two Services with one name is used. Its slice has an invalid port, so it is left out.
    assert_eq!(programmed("18-real-dirs/d"), ["10.96.18.2:80/TCP -> 10.244.2.5 port 8080"]);
}

#[test]
fn case_19_node_addresses() {
    let host = std::fs::read_to_string(input("19-node-addresses/noips.json")).unwrap();
    let hns = Hns::on(&serde_json::from_str(&host).unwrap());
    let running = Running::start(&[&from(&input("19-node-addresses/in.json")), &hns.flag()]);
    let of_the_node = json!(["192.168.77.1"]);
    running.wait_for_state("the addresses of the Node", |state| state["node"]["addresses"] == of_the_node);
}

#[test]
fn case_20_many_ports() {
    let (directory, hns) = (tempfile::tempdir().unwrap(), hns());
    let numbers = 0..1000;
    let port = |n: u32| json!({"name": format!("p{n}"), "protocol": "UDP", "port": 10_000 + n, "nodePort": 20_000 + n});
    let target = |n: u32| json!({"name": format!("p{n}"), "protocol": "UDP", "port": 10_000 + n});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "media"},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.96.20.1", "ports": numbers.clone().map(port).collect::<Vec<_>>()},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.20"}]}}});
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "shop", "name": "media-1", "labels": {"kubernetes.io/service-name": "media"}},
        "ports": numbers.map(target).collect::<Vec<_>>(), "endpoints": [{"addresses": ["10.244.2.9"]}]});
    let file = directory.path().join("in.json");
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": [service, slice]}).to_string()).unwrap();
    once(&file, &hns);
    assert_eq!(hns.load_balancers().len(), 3000);
    let writes = hns.emulator.writes();
    once(&file, &hns);
    assert_eq!(hns.emulator.writes(), writes);
}

#[test]
fn case_21_defaults() {
    assert_eq!(
        programmed("21-defaults/in.yaml"),
        ["10.96.21.1:80/TCP -> 10.244.2.9 port 8080", "10.96.21.2:80/TCP -> 10.244.2.9 port 8080"]
    );
}

#[test]
fn case_23_ipv6_spelling() {
    let hns = hns();
    once(&input("23-ipv6-spelling/in.yaml"), &hns);
    let backends = "fd00:10:244:1::b, fd00:10:244:2::9 port 8080";
    let frontends = ["*:30080/TCP", "2001:db8::53:80/TCP", "2001:db8::a:80/TCP", "fd00:96::1:80/TCP"];
    assert_eq!(load_balancers(&hns), frontends.map(|frontend| format!("{frontend} -> {backends}")));
    let writes = hns.emulator.writes();
    once(&input("23-ipv6-spelling/in.yaml"), &hns);
    assert_eq!(hns.emulator.writes(), writes);
}
