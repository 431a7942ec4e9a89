//! The text output of commands.

use crate::support::hns::Hns;
use crate::support::program::{from, hnsproxy};
use crate::support::recording::{cluster_flag, host_flag};

fn boutique() -> (String, String) {
    (cluster_flag("boutique-l2bridge"), host_flag("boutique-l2bridge"))
}

#[test]
fn a_row_of_run_names_the_service_its_frontend_and_its_details() {
    let (from, hns) = boutique();
    let table = hnsproxy(&["run", &from, &hns, "--once", "--enable-dsr"]).expect(0).stdout;
    let row =
        table.lines().find(|line| line.contains("kube-system/kube-dns:dns ")).unwrap_or_else(|| panic!("{table}"));
    for part in ["cluster IP", "10.96.0.10:53/UDP", "port 53", "DSR"] {
        assert!(row.contains(part), "{part} is not in {row}");
    }
}

#[test]
fn state_names_hns_and_the_frontends() {
    let hns = Hns::of("boutique-l2bridge");
    hnsproxy(&["run", &boutique().0, &hns.flag(), "--once"]).expect(0);
    let table = hnsproxy(&["state", &hns.flag()]).expect(0).stdout;
    assert!(table.contains("emulated HNS") && table.contains("10.96.0.10:53/UDP"), "{table}");
}

#[test]
fn plan_names_each_step_with_its_reason() {
    let (from, hns) = boutique();
    let text = hnsproxy(&["plan", &from, &hns]).expect(2).stdout;
    for part in [
        "\n22 load balancers to create; ",
        " Services\n",
        "\nService kube-system/kube-dns:\n",
        "\n  create load balancer 10.96.0.10:53/UDP with 2 backends: it is missing in HNS\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn a_plan_without_steps_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("cluster.yaml");
    std::fs::write(&empty, "apiVersion: v1\nkind: List\nitems: []\n").unwrap();
    let text = hnsproxy(&["plan", &from(&empty), &boutique().1]).expect(0).stdout;
    assert!(text.ends_with("no changes\n"), "{text}");
}

#[test]
fn explain_names_frontends_backends_and_pending_steps() {
    let flags = [cluster_flag("mixed-l2bridge"), host_flag("mixed-l2bridge")];
    let text = hnsproxy(&["explain", "svc", "kube-system/kube-dns", &flags[0], &flags[1], "--enable-dsr"]);
    let text = text.expect(0).stdout;
    for part in [
        "Service kube-system/kube-dns\n",
        "cluster IP 10.96.0.10:53/UDP (dns)\n",
        "  in  10.244.4.16:53 on lin-4  ready; its HNS endpoint will be created\n",
        " with 10.244.4.16, 10.244.5.16, port 53, DSR\n",
        "  observed: none\n",
        "pending changes:\n  create remote endpoint 10.244.4.16: it is missing in HNS\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn state_does_not_call_load_balancers_foreign_since_it_reads_no_cluster() {
    let hns = Hns::of("boutique-l2bridge");
    hnsproxy(&["run", &boutique().0, &hns.flag(), "--once"]).expect(0);
    let table = hnsproxy(&["state", &hns.flag()]).expect(0).stdout;
    assert!(!table.contains("foreign") && !table.contains("SERVICE"), "{table}");
}

#[test]
fn tables_are_whole_in_pipes() {
    let (from, hns) = boutique();
    let table = hnsproxy(&["run", &from, &hns, "--once", "--enable-dsr", "--forward-healthcheck-vip"]).expect(0).stdout;
    assert!(!table.contains("..."), "{table}");
}

#[test]
fn the_version_has_the_version_of_kubernetes_features_and_target() {
    let table = hnsproxy(&["version"]).expect(0).stdout;
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(lines.next().unwrap(), ["VERSION", "KUBERNETES", "FEATURES", "TARGET"]);
    assert_eq!(lines.next().unwrap()[..2], [env!("CARGO_PKG_VERSION"), "v1.36.2"]);
}
