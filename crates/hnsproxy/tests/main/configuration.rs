//! The configuration file: how it is read, written and followed.

use std::fs;

use hcn::Kind;
use serde_json::{Value, json};
use test_api_server::Credentials;

use crate::support::cluster::Cluster;
use crate::support::config::ConfigFile;
use crate::support::hns::Hns;
use crate::support::http::{get, wait_for_page};
use crate::support::program::{free_addresses, hnsproxy};
use crate::support::recording::cluster_flag;
use crate::support::running::Running;

fn boutique() -> String {
    cluster_flag("boutique-l2bridge")
}

/// Whether a load balancer has direct server return.
fn is_direct(load_balancer: &Value) -> bool {
    load_balancer["Flags"].as_u64().unwrap_or_default() & 1 == 1
}

#[test]
fn a_configuration_file_overrides_flags() {
    let (file, hns) = (ConfigFile::new("winkernel: {enableDSR: true}"), Hns::of("boutique-l2bridge"));
    hnsproxy(&[&file.flag(), &boutique(), &hns.flag(), "--once", "--enable-dsr=false"]).expect(0);
    assert!(hns.load_balancers().iter().any(is_direct));
}

#[test]
fn the_written_configuration_has_defaults_and_is_accepted_again() {
    let directory = tempfile::tempdir().unwrap();
    let write = |config: &str, name: &str| {
        let written = directory.path().join(name);
        hnsproxy(&[config, &format!("--write-config-to={}", written.display())]).expect(0);
        (fs::read_to_string(&written).unwrap(), format!("--config={}", written.display()))
    };
    let (text, flag) = write(&ConfigFile::new("winkernel: {enableDSR: true}").flag(), "first.yaml");
    for part in ["kind: KubeProxyConfiguration", "enableDSR: true", "mode: kernelspace", "syncPeriod: 30s"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_eq!(write(&flag, "second.yaml").0, text);
}

#[test]
fn an_invalid_change_of_the_file_is_reported_and_not_applied() {
    let (file, hns) = (ConfigFile::new("winkernel: {enableDSR: true}"), Hns::of("boutique-l2bridge"));
    let running = file.start(&[&boutique(), &hns.flag()]);
    running.wait_until_in_sync();
    let (objects, writes) = (hns.objects(), hns.emulator.writes());
    file.write("winkernel: [");
    running.wait_for_state("an error", |state| state["configuration"]["error"].is_string());
    let configz = get(file.metrics, "/configz").unwrap().json();
    assert_eq!(configz["kubeproxy.config.k8s.io"]["winkernel"]["enableDSR"], true);
    assert_eq!((hns.objects(), hns.emulator.writes()), (objects, writes));
    file.write("winkernel: {enableDSR: true}");
    running.wait_for_state("no error", |state| state["configuration"]["error"].is_null());
}

/// The program on the kubeconfig of a configuration file that then names one that does not exist.
struct Rejected {
    cluster: Cluster,
    file: ConfigFile,
    running: Running,
    _hns: Hns,
}

impl Rejected {
    fn start() -> Self {
        let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
        cluster.flag(&Credentials::None);
        let file = ConfigFile::new(&client(&cluster, "kubeconfig"));
        let running = file.start(&[&hns.flag()]);
        running.wait_until_in_sync();
        let rejected = Self { cluster, file, running, _hns: hns };
        rejected.write("missing");
        rejected.wait_for_error(true);
        rejected
    }

    /// Writes the configuration with a kubeconfig.
    fn write(&self, kubeconfig: &str) {
        self.file.write(&client(&self.cluster, kubeconfig));
    }

    /// Waits for the error of the missing kubeconfig, or for another.
    #[track_caller]
    fn wait_for_error(&self, missing: bool) {
        let is = |state: &Value| {
            state["configuration"]["error"].as_str().is_some_and(|error| error.contains("missing") == missing)
        };
        self.running.wait_for_state(&format!("the error of the missing kubeconfig: {missing}"), is);
    }

    #[track_caller]
    fn wait_for_no_error(&self) {
        self.running.wait_for_state("no error", |state| state["configuration"]["error"].is_null());
    }
}

/// The field of a kubeconfig.
fn client(cluster: &Cluster, kubeconfig: &str) -> String {
    format!("clientConnection: {{kubeconfig: '{}'}}", cluster.file(kubeconfig).display())
}

#[test]
fn a_rejected_configuration_is_an_error_until_the_file_has_that_in_use() {
    let rejected = Rejected::start();
    rejected.file.write("winkernel: [");
    rejected.wait_for_error(false);
    rejected.write("missing");
    rejected.wait_for_error(true);
    rejected.write("kubeconfig");
    rejected.wait_for_no_error();
}

#[test]
fn a_rejected_configuration_is_tried_again_after_an_invalid_one() {
    let rejected = Rejected::start();
    rejected.file.write("winkernel: [");
    rejected.wait_for_error(false);
    fs::copy(rejected.cluster.file("kubeconfig"), rejected.cluster.file("missing")).unwrap();
    rejected.write("missing");
    rejected.wait_for_no_error();
    rejected.file.wait_until_in_use("missing");
}

#[test]
fn a_network_that_hns_does_not_have_leaves_its_objects() {
    let (file, hns) = (ConfigFile::new("winkernel: {enableDSR: true}"), Hns::of("boutique-l2bridge"));
    let running = file.start(&[&boutique(), &hns.flag()]);
    running.wait_until_in_sync();
    let (objects, writes) = (hns.objects(), hns.emulator.writes());
    file.write("winkernel: {enableDSR: true, networkName: azure}");
    let state = running.wait_until_waiting_for("NetworkAbsent");
    assert_eq!(state["networks"], json!([{"name": "azure", "id": null, "present": false}]));
    assert_eq!((hns.objects(), hns.emulator.writes()), (objects, writes));
}

#[test]
fn a_network_named_otherwise_is_audited_without_a_write() {
    let (file, hns) = (ConfigFile::new("winkernel: {enableDSR: true}"), Hns::of("boutique-l2bridge"));
    let running = file.start(&[&boutique(), &hns.flag(), "--hns-audit-interval=0.1"]);
    running.wait_until_in_sync();
    let (objects, writes) = (hns.objects(), hns.emulator.writes());
    let network = hns.emulator.documents(Kind::Network)[0]["Name"].as_str().unwrap().to_owned();
    file.write(&format!("winkernel: {{enableDSR: true, networkName: {network}}}"));
    file.wait_until_in_use(&network);
    running.wait_until_in_sync();
    hns.wait_for_audit();
    assert_eq!((hns.objects(), hns.emulator.writes()), (objects, writes));
}

#[test]
fn direct_server_return_that_is_switched_off_replaces_load_balancers() {
    let (file, hns) = (ConfigFile::new("winkernel: {enableDSR: true}"), Hns::of("boutique-l2bridge"));
    let running = file.start(&[&boutique(), &hns.flag()]);
    running.wait_until_in_sync();
    file.write("winkernel: {enableDSR: false}");
    file.wait_until_in_use("\"enableDSR\":false");
    running.wait_until_in_sync();
    assert!(!hns.load_balancers().iter().any(is_direct));
}

#[test]
fn another_address_of_health_checks_is_used_without_a_write() {
    let (file, hns) = (ConfigFile::new("winkernel: {enableDSR: true}"), Hns::of("boutique-l2bridge"));
    let [after] = free_addresses();
    let running = file.start(&[&boutique(), &hns.flag()]);
    wait_for_page(file.health, "/livez", |answer| answer.code == 200);
    running.wait_until_in_sync();
    let writes = hns.emulator.writes();
    file.write_with_health_at(after, "winkernel: {enableDSR: true}");
    wait_for_page(after, "/livez", |answer| answer.code == 200);
    assert_eq!(get(file.health, "/livez"), None);
    file.wait_until_in_use(&after.to_string());
    running.wait_until_in_sync();
    assert_eq!(hns.emulator.writes(), writes);
}
