//! The command lines by which installers start kube-proxy start hnsproxy.

use std::fs;
use std::path::Path;

use crate::support::hns::Hns;
use crate::support::program::{command, ended};
use crate::support::recording::{cluster_flag, host};

/// A file of an installer.
fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/installers").join(name)).unwrap()
}

/// Runs with the command line of an installer, on the host of a recording whose network has a name.
#[track_caller]
fn programs_hns(installer: &str, recording: &str, network: &str) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("c.yaml"), file("kubeadm.yaml")).unwrap();
    let mut document = host(recording);
    let networks = document.objects.iter_mut().filter(|object| object["_kind"] == "Network");
    networks.for_each(|object| object["Name"] = network.into());
    let (line, cluster, hns) = (file(installer), cluster_flag(recording), Hns::on(&document));
    // Only the service control manager can start it with --windows-service.
    let flags = line.lines().filter(|line| line.starts_with("--") && !line.starts_with("--windows-service"));
    let hns_flag = hns.flag();
    let arguments: Vec<&str> = flags.chain([cluster.as_str(), &hns_flag, "--once"]).collect();
    ended(command(&arguments).current_dir(&directory).env("KUBE_NETWORK", network)).expect(0);
    assert!(hns.load_balancers().len() > 20, "{:#?}", hns.frontends());
}

#[test]
fn the_command_line_of_aks_programs_hns() {
    programs_hns("aks", "boutique-l2bridge", "azure");
}

#[test]
fn the_command_line_of_eks_programs_hns() {
    programs_hns("eks", "boutique-l2bridge", "vpcbr1");
}

#[test]
fn the_earlier_command_line_of_eks_programs_hns() {
    programs_hns("eks-earlier", "boutique-l2bridge", "vpcbr1");
}

#[test]
fn the_command_line_of_gke_programs_hns() {
    programs_hns("gke", "boutique-l2bridge", "l2bridge");
}

#[test]
fn the_command_line_of_rke2_programs_hns() {
    programs_hns("rke2", "boutique-overlay", "Calico");
}

#[test]
fn the_command_line_of_sig_windows_tools_with_calico_programs_hns() {
    programs_hns("sig-windows-tools-calico", "boutique-overlay", "Calico");
}

#[test]
fn the_command_line_of_sig_windows_tools_with_flannel_programs_hns() {
    programs_hns("sig-windows-tools-flannel", "boutique-overlay", "flannel.4096");
}

#[test]
fn the_command_line_of_kubeadm_programs_hns() {
    programs_hns("kubeadm", "boutique-l2bridge", "cbr0");
}
