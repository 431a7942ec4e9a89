//! `--source-vip=auto` on an overlay network: the endpoint of the CNI, or an address that host-local does not give to pods.

use std::fs;
use std::path::PathBuf;

use hcn::Kind;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::hns::Hns;
use crate::support::program::{Ended, hnsproxy};
use crate::support::recording::cluster_flag;
use crate::support::running::Running;
use crate::support::wait::wait_until;

const RECORDING: &str = "boutique-overlay";

/// A host with the overlay network `cbr0` (10.244.1.0/24), in which host-local has given the last address to a pod.
struct Host {
    hns: Hns,
    directory: TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { hns: Hns::of(RECORDING), directory: tempfile::tempdir().unwrap() };
        fs::create_dir(host.network()).unwrap();
        fs::write(host.network().join("10.244.1.254"), "pod\r\neth0").unwrap();
        host
    }

    fn network(&self) -> PathBuf {
        self.directory.path().join("cbr0")
    }

    fn flags(&self) -> [String; 4] {
        let folder = format!("--host-local-dir={}", self.directory.path().display());
        [cluster_flag(RECORDING), self.hns.flag(), folder, "--source-vip=auto".to_owned()]
    }

    fn run(&self, flags: &[&str]) -> Ended {
        let own = self.flags();
        hnsproxy(&own.iter().map(String::as_str).chain(flags.iter().copied()).collect::<Vec<_>>())
    }

    /// The number of writes of `--once`, which has to end in sync.
    fn writes(&self) -> u64 {
        self.run(&["--once", "-o=json"]).expect(0).json()["calls"]["writes"].as_u64().unwrap()
    }

    /// The names of the files of host-local.
    fn reserved(&self) -> Vec<String> {
        let files = fs::read_dir(self.network()).unwrap();
        let mut names: Vec<_> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The source VIPs of load balancers, each once.
    fn source_vips(&self) -> Vec<String> {
        let source_vip = |lb: &Value| lb["SourceVIP"].as_str().unwrap_or_default().to_owned();
        let mut all: Vec<_> = self.hns.load_balancers().iter().map(source_vip).collect();
        // Load balancers of backends outside of the cluster have the node IP.
        all.retain(|address| address.starts_with("10.244."));
        all.sort();
        all.dedup();
        all
    }

    fn has_endpoint(&self, address: &str) -> bool {
        self.hns.emulator.documents(Kind::Endpoint).iter().any(|one| one["IpConfigurations"][0]["IpAddress"] == address)
    }

    /// Adds the endpoint of a pod, or of the CNI.
    fn add_endpoint(&self, name: &str, address: &str) {
        let network = self.hns.emulator.documents(Kind::Network)[0]["ID"].clone();
        let document = json!({"Name": name, "HostComputeNetwork": network, "MacAddress": "00-15-5D-00-FF-01",
            "IpConfigurations": [{"IpAddress": address, "PrefixLength": 24}], "SchemaVersion": {"Major": 2, "Minor": 0}});
        self.hns.emulator.add(Kind::Endpoint, document);
    }
}

#[test]
fn without_an_endpoint_an_address_is_reserved_and_kept_over_restarts() {
    let host = Host::new();
    host.add_endpoint("a-pod", "10.244.1.253");
    assert!(host.writes() > 0);
    assert_eq!(
        (host.source_vips(), host.reserved()),
        (vec!["10.244.1.252".to_owned()], vec!["10.244.1.252".to_owned(), "10.244.1.254".into()])
    );
    assert!(host.has_endpoint("10.244.1.252"));
    assert_eq!(host.writes(), 0);
    assert_eq!(host.reserved(), ["10.244.1.252", "10.244.1.254"]);
}

#[test]
fn the_endpoint_of_the_cni_replaces_a_reserved_address_which_is_released() {
    let host = Host::new();
    let flags = host.flags();
    let running = Running::start(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    running.wait_until_in_sync();
    assert_eq!(host.source_vips(), ["10.244.1.253"]);
    host.add_endpoint("VIPEndpoint", "10.244.1.9");
    wait_until("the reservation to be released", || host.reserved(), |files| *files == ["10.244.1.254"]);
    assert_eq!((host.source_vips(), host.has_endpoint("10.244.1.253")), (vec!["10.244.1.9".to_owned()], false));
}

#[test]
fn an_address_that_a_pod_has_got_in_spite_of_its_reservation_is_replaced() {
    let host = Host::new();
    let flags = host.flags();
    let running = Running::start(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    running.wait_until_in_sync();
    host.add_endpoint("a-pod", "10.244.1.253");
    wait_until(
        "another address to be reserved",
        || host.reserved(),
        |files| *files == ["10.244.1.252", "10.244.1.254"],
    );
    assert_eq!(host.source_vips(), ["10.244.1.252"]);
}

#[test]
fn another_source_vip_releases_the_reserved_address() {
    let host = Host::new();
    host.writes();
    host.run(&["--once", "--source-vip=10.244.1.9"]).expect(0);
    assert_eq!(host.source_vips(), ["10.244.1.9"]);
    assert_eq!((host.reserved(), host.has_endpoint("10.244.1.253")), (vec!["10.244.1.254".to_owned()], false));
}

#[test]
fn cleanup_needs_no_source_vip_and_deletes_its_endpoint() {
    let host = Host::new();
    let before = host.hns.objects();
    host.writes();
    host.run(&["--cleanup", "--source-vip=endpoint:Calico_ep"]).expect(0);
    assert_eq!((host.hns.objects(), host.reserved()), (before, vec!["10.244.1.254".to_owned()]));
}

#[test]
fn plan_reserves_nothing() {
    let host = Host::new();
    let flags = host.flags();
    hnsproxy(&["plan"].into_iter().chain(flags.iter().map(String::as_str)).collect::<Vec<_>>()).expect(1);
    assert_eq!(host.reserved(), ["10.244.1.254"]);
    host.writes();
    hnsproxy(&["plan"].into_iter().chain(flags.iter().map(String::as_str)).collect::<Vec<_>>()).expect(0);
}

/// A disk that hangs: a FIFO that nothing writes.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_hangs_delays_only_the_reservation() {
    let host = Host::new();
    let file = host.network().join("10.244.1.253");
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    let flags = host.flags();
    let running =
        Running::start(&flags.iter().map(String::as_str).chain(["--hns-audit-interval=0.1"]).collect::<Vec<_>>());
    running.wait_until_waiting_for("SourceVIPAbsent");
    let lists = || host.hns.calls_of("HcnEnumerateEndpoints");
    let before = lists();
    wait_until("further audits", lists, |lists| *lists > before + 1);
    let writer = fs::OpenOptions::new().write(true).open(&file).unwrap();
    fs::remove_file(&file).unwrap();
    drop(writer);
    running.wait_until_in_sync();
    assert_eq!(host.source_vips(), ["10.244.1.253"]);
}
