//! Messages about HNS: networks, drift, foreign load balancers, refused writes.

use std::time::Duration;

use hcn::Kind;
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::testing;
use serde_json::json;

use super::{Logged, assert_logged};
use crate::support::hns::Hns;
use crate::support::program::{command, ended, hnsproxy};
use crate::support::recording::{cluster_flag, host_flag};
use crate::support::running::Running;

#[test]
fn a_missing_network_is_named_with_its_flag() {
    let (from, hns) = (cluster_flag("boutique-l2bridge"), host_flag("boutique-l2bridge"));
    hnsproxy(&[&from, &hns, "--once", "--network_name=other"])
        .expect(1)
        .logs("network \"other\" not found in HNS")
        .logs("--network-name or KUBE_NETWORK");
}

#[test]
fn several_networks_without_a_choice_are_named() {
    let hns = Hns::on(&testing::host("15.5", &["L2Bridge", "L2Bridge"]));
    let ended = hnsproxy(&[&cluster_flag("boutique-l2bridge"), &hns.flag(), "--once"]).expect(1);
    ended.logs("(known: cbr0, cbr1)");
}

#[test]
fn drift_is_named_by_its_cause() {
    let hns = Hns::of("boutique-l2bridge");
    let from = cluster_flag("boutique-l2bridge");
    let running = Running::start(&[&from, &hns.flag(), "--hns-audit-interval=0.1"]);
    running.wait_until_in_sync();
    let objects = hns.objects();
    hns.remove(&hns.load_balancers()[0]);
    hns.wait_until_objects_are(&objects);
    assert_logged(&running.kill(), "load balancer is missing in HNS");
}

#[test]
fn a_load_balancer_that_kube_proxy_left_is_named_with_the_flag_that_deletes_it() {
    let hns = Hns::of("boutique-l2bridge");
    let endpoint = &hns.emulator.documents(Kind::Endpoint)[0]["ID"];
    let document = json!({"FrontendVIPs": ["10.96.77.77"], "HostComputeEndpoints": [endpoint], "Flags": 1,
        "PortMappings": [{"Protocol": 6, "InternalPort": 80, "ExternalPort": 80, "DistributionType": 0, "Flags": 0}],
        "SchemaVersion": {"Major": 2, "Minor": 0}});
    hns.emulator.add(Kind::LoadBalancer, document);
    let ended = hnsproxy(&[&cluster_flag("boutique-l2bridge"), &hns.flag(), "--once"]).expect(0);
    ended.logs("10.96.77.77:80/TCP: no Service uses the frontend").logs("which --take-over removes");
}

#[test]
fn a_refused_write_is_named_with_its_step_and_the_native_function() {
    let hns = Hns::of("boutique-overlay");
    let running = Running::start(&[&cluster_flag("boutique-overlay"), &hns.flag(), "--source-vip=fd00::9"]);
    running.wait_until_waiting_for("RetriesPending");
    let step = "create endpoint for source VIP fd00::9: it is missing in HNS: HcnCreateEndpoint failed";
    assert_logged(&running.kill(), step);
}

#[cfg(unix)]
#[test]
fn a_call_that_hangs_is_named_while_it_hangs_and_at_the_shutdown() {
    let hns = Hns::of("boutique-l2bridge");
    hns.emulator.hang_nth("HcnCreateLoadBalancer", 1);
    let from = cluster_flag("boutique-l2bridge");
    let running = Running::start(&[&from, &hns.flag(), "--hns-call-budget=0.1"]);
    running.wait_for_log("HNS call over its budget of 0.1 s: HcnCreateLoadBalancer takes");
    running.signal("TERM");
    assert_eq!(running.exit_code(), Some(3));
    hns.emulator.release();
    assert_logged(&running.kill(), "shutdown not complete after 4 s: HcnCreateLoadBalancer takes");
}

#[test]
fn a_network_of_the_environment_that_hns_lacks_is_named_with_those_it_has() {
    let hns = Hns::on(&testing::host("15.5", &["L2Bridge", "L2Bridge"]));
    let from = cluster_flag("boutique-l2bridge");
    let mut once = command(&[&from, &hns.flag(), "--once"]);
    let known = "network \"other\" not found in HNS (known: cbr0, cbr1)";
    ended(once.env("KUBE_NETWORK", "other")).expect(1).logs(known);
    hnsproxy(&[&from, &hns.flag(), "--once", "--network-name=other,another"]).expect(1).logs(known);
}

#[test]
fn a_member_that_cannot_be_read_is_named_once() {
    let hns = Hns::of("boutique-l2bridge");
    let document = json!({"FrontendVIPs": ["172.16.0.1"], "HostComputeEndpoints": [], "Flags": {"a": 1},
        "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 1}]});
    let id = hns.emulator.add(Kind::LoadBalancer, document);
    let running = Running::start(&[&cluster_flag("boutique-l2bridge"), &hns.flag(), "--hns-audit-interval=0.1"]);
    running.wait_until_in_sync();
    hns.wait_for_audit();
    let log = running.kill();
    let text = format!("LoadBalancer {id}: cannot read Flags {{\"a\":1}}; the member counts as absent");
    assert_eq!(log.iter().filter(|line| line.contains(&text)).count(), 1, "{}", log.join("\n"));
}

#[test]
fn a_long_programming_is_logged_with_an_estimate() {
    let hns = Hns::of("boutique-l2bridge");
    hns.emulator.inject(Fault::of_each(Which::Writes, Effect::Delay(Duration::from_secs(1))));
    let running = Running::start(&[&cluster_flag("boutique-l2bridge"), &hns.flag()]);
    running.wait_for_log(" of 22 load balancers, ");
    assert_logged(&running.kill(), " % done, about ");
}
