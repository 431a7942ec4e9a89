//! Messages about configuration files.

use super::{Logged, assert_logged};
use crate::support::config::ConfigFile;
use crate::support::hns::Hns;
use crate::support::program::hnsproxy;
use crate::support::recording::{cluster_flag, host_flag};

fn boutique() -> (String, String) {
    (cluster_flag("boutique-l2bridge"), host_flag("boutique-l2bridge"))
}

#[test]
fn unknown_fields_overridden_flags_and_fields_without_effect_are_named() {
    let file = ConfigFile::new("winkernel: {enableDSR: true}\nodd: 1\nipvs: {scheduler: rr}");
    let (from, hns) = boutique();
    hnsproxy(&[&file.flag(), &from, &hns, "--once", "-v=2", "--enable-dsr=false"])
        .expect(0)
        .logs("decoded leniently: unknown field \"odd\"")
        .logs("--config overrides --enable-dsr")
        .logs("ipvs.scheduler (--ipvs-scheduler) has no effect on Windows");
}

#[test]
fn all_invalid_values_of_a_file_are_named() {
    let file = ConfigFile::new("mode: userspace\niptables: {syncPeriod: -1s}");
    let (from, hns) = boutique();
    hnsproxy(&[&file.flag(), &from, &hns, "--once"])
        .expect(1)
        .logs("invalid configuration: ")
        .logs("Mode.ProxyMode: invalid value \"userspace\"")
        .logs("SyncPeriod: invalid value \"-1s\"");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    hnsproxy(&["--config=nowhere.yaml"]).expect(1).logs("cannot read configuration file nowhere.yaml: ");
}

#[test]
fn an_invalid_change_of_the_file_is_logged() {
    let (file, hns) = (ConfigFile::new("winkernel: {enableDSR: true}"), Hns::of("boutique-l2bridge"));
    let running = file.start(&[&boutique().0, &hns.flag()]);
    running.wait_until_in_sync();
    file.write("winkernel: [");
    running.wait_for_state("an error", |state| state["configuration"]["error"].is_string());
    assert_logged(&running.kill(), "keeping the previous configuration");
}

#[test]
fn a_changed_verbosity_takes_effect() {
    let (file, hns) = (ConfigFile::new("logging: {verbosity: 0}"), Hns::of("boutique-l2bridge"));
    let running = file.start(&[&boutique().0, &hns.flag(), "--hns-audit-interval=0.1", "--log-style=plain"]);
    running.wait_until_in_sync();
    file.write("logging: {verbosity: 2}\noddity: 7");
    file.wait_until_in_use("\"verbosity\":2");
    running.wait_until_in_sync();
    hns.remove(&hns.load_balancers()[0]);
    hns.wait_for_audit();
    running.wait_until_in_sync();
    let log = running.kill();
    assert_logged(&log, "DEBUG");
    assert_logged(&log, "oddity");
}

#[test]
fn case_12_configs_a_sync_period_below_the_minimum_is_named_with_both() {
    // `dur4.yaml` of the case.
    let file = ConfigFile::new("iptables: {syncPeriod: 100µs}");
    let (from, hns) = boutique();
    hnsproxy(&[&file.flag(), &from, &hns, "--once"])
        .expect(1)
        .logs("SyncPeriod: invalid value \"100µs\": must be greater than or equal to MinSyncPeriod (1s)");
}

#[test]
fn a_duration_of_a_file_and_of_a_flag_is_quoted_once() {
    let file = ConfigFile::new("configSyncPeriod: 5x");
    let (from, hns) = boutique();
    hnsproxy(&[&file.flag(), &from, &hns, "--once"])
        .expect(1)
        .logs("configSyncPeriod: invalid duration \"5x\": expected e.g. 30s");
    hnsproxy(&[&from, &hns, "--once", "--config-sync-period=5x"])
        .expect(1)
        .logs("invalid value '5x' for '--config-sync-period <DURATION>': expected e.g. 30s");
}

#[test]
fn a_feature_gate_is_named_without_quotes_inside_quotes() {
    let (from, hns) = boutique();
    let gates = |value: &str| hnsproxy(&[&from, &hns, "--once", &format!("--feature-gates={value}")]).expect(1);
    let of_flag = "for '--feature-gates <NAME=BOOL,...>': ";
    gates("A=true,WinDSR=x").logs(&format!("{of_flag}feature gate WinDSR: expected true or false"));
    gates("WinDSR").logs(&format!("{of_flag}expected NAME=true or NAME=false, found WinDSR"));
}
