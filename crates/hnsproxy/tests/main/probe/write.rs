//! With `--write`: what HNS answers, and that nothing is left behind, however the probe ends.

use std::process::{Child, Stdio};

use hcn::call::Method;
use hcn::{Call, Hcn, Hresult, Kind};
#[cfg(unix)]
use hcn_emulator::Pace;
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::journal::Detail;
use hcn_emulator::testing::NETWORKS;
use hcn_emulator::{Build, Emulator};
use serde_json::{Value, json};

use super::{Case, answer, answers, hns_of, pair, probe};
use crate::support::hns::Hns;
use crate::support::program::{command, hnsproxy};
use crate::support::recording::cluster_flag;
use crate::support::running::Running;
use crate::support::wait::wait_until;

const FLAGS: [&str; 3] = ["--write", "--yes", "--samples=1"];

#[test]
fn each_build_is_as_expected_and_has_the_same_objects_afterwards() {
    for build in Build::names() {
        for network_type in ["L2Bridge", "Overlay"] {
            let hns = hns_of(build, network_type);
            let before = hns.objects();
            let survey = probe(&hns, &FLAGS).expect(0).json();
            let other = answers(&survey).into_iter().filter(|(.., verdict)| verdict == "other");
            assert_eq!((other.collect(), hns.objects()), (vec![], before), "{build} {network_type}");
        }
    }
}

#[test]
fn a_probe_writes_only_to_objects_of_its_own() {
    let hns = Hns::of("boutique-overlay");
    hnsproxy(&["run", &cluster_flag("boutique-overlay"), &hns.flag(), "--once", "--source-vip=10.244.1.9"]).expect(0);
    let before = hns.objects();
    hns.emulator.reset_journal();
    let survey = probe(&hns, &FLAGS).expect(0).json();
    assert_eq!((answer(&survey, "removed"), hns.objects()), (pair("none", "expected"), before));
    let written = hns.emulator.journal_details().into_iter().filter(|detail| detail.entry.is_write);
    // A request of the v1 API has the id of its object in its path, or in its document.
    let is_own = |detail: &Detail| match detail.id {
        Some(id) => id.to_string().starts_with("401bea34"),
        None => detail.entry.subject == "POST /endpoints/" || detail.entry.subject.contains("401bea34"),
    };
    let foreign: Vec<_> = written.filter(|detail| !is_own(detail)).collect();
    assert_eq!(foreign, vec![]);
}

#[test]
fn the_message_of_an_error_is_kept() {
    let survey = probe(&hns_of("latest", "L2Bridge"), &FLAGS).json();
    let findings = survey["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["check"] == "sameFrontend").unwrap();
    let detail = finding["detail"].as_str().unwrap();
    assert!(detail.contains("HcnCreateLoadBalancer") && detail.contains("0x803b0013"), "{detail}");
}

#[test]
fn each_call_is_measured_as_often_as_requested() {
    let hns = hns_of("latest", "L2Bridge");
    let survey = probe(&hns, &["--write", "--yes", "--samples=3"]).json();
    let timings = survey["timings"].as_array().unwrap();
    let counts: Vec<_> = timings.iter().map(|one| (one["call"].as_str().unwrap(), &one["count"])).collect();
    let expected = [
        ("HNSCall GET /endpoints/", 3),
        ("HNSCall GET /policylists/", 3),
        ("HcnCreateEndpoint", 3),
        ("HcnCreateLoadBalancer", 3),
        ("HcnDeleteEndpoint", 3),
        ("HcnDeleteLoadBalancer", 3),
        ("HcnEnumerateEndpoints", 3),
        ("HcnEnumerateLoadBalancers", 3),
        ("HcnModifyLoadBalancer", 3),
        // To read it, and to modify it.
        ("HcnOpenLoadBalancer", 6),
        ("HcnQueryLoadBalancerProperties", 3),
    ];
    let expected = expected.map(|(call, count)| (call, json!(count)));
    assert_eq!(counts, expected.each_ref().map(|(call, count)| (*call, count)));
}

#[test]
fn an_hns_with_other_answers_is_found() {
    let survey = |build: &str, change: &dyn Fn(&Emulator)| {
        let hns = hns_of(build, "L2Bridge");
        change(&hns.emulator);
        let before = hns.objects();
        let survey = probe(&hns, &FLAGS).expect(1).json();
        assert_eq!(hns.objects(), before);
        survey
    };
    let silent = survey("latest", &|hns| hns.change_quirks(|quirks| quirks.silent_modify = true));
    assert_eq!(answer(&silent, "modify"), pair("succeeds without effect", "other"));
    let chooses = survey("latest", &choose_ids);
    assert_eq!(answer(&chooses, "loadBalancerId"), pair("chosen by HNS", "other"));
    let second = survey("server2022", &|hns| hns.change_quirks(|quirks| quirks.first_delete_fails = true));
    assert_eq!(answer(&second, "delete"), pair("succeeds at the second attempt", "other"));
    let accepts = survey("server2019", &|hns| hns.change_options(|options| options.accepts_no_backend = true));
    assert_eq!(answer(&accepts, "noBackend"), pair("succeeds", "other"));
}

/// Makes the v1 lists of load balancers and endpoints empty.
fn hide_from_v1(emulator: &Emulator) {
    for kind in [Kind::LoadBalancer, Kind::Endpoint] {
        emulator.inject(Fault::of_each(Which::V1List(kind), Effect::Partial(0)));
    }
}

/// As [`hide_from_v1`], for the enumerations of the HCN (v2) API.
fn hide_from_v2(emulator: &Emulator) {
    for kind in [Kind::LoadBalancer, Kind::Endpoint] {
        emulator.inject(Fault::of_each(Which::V2List(kind), Effect::Partial(0)));
    }
}

fn choose_ids(emulator: &Emulator) {
    emulator.change_quirks(|quirks| quirks.chooses_ids = [Kind::Endpoint, Kind::LoadBalancer].into());
}

fn calls(survey: &Value) -> Vec<&str> {
    survey["timings"].as_array().unwrap().iter().map(|one| one["call"].as_str().unwrap()).collect()
}

#[test]
fn a_modification_that_hns_does_not_implement_is_an_answer_and_the_other_calls_are_measured() {
    let hns = hns_of("latest", "L2Bridge");
    let modify = Which::Function("HcnModifyLoadBalancer".into());
    hns.emulator.inject(Fault::of_each(modify, Effect::Fail(Hresult::E_NOTIMPL)));
    let before = hns.objects();
    let survey = probe(&hns, &FLAGS).expect(1).json();
    assert_eq!((answer(&survey, "modify"), hns.objects()), (pair("0x80004001", "other"), before));
    let calls = calls(&survey);
    assert!(calls.contains(&"HcnDeleteEndpoint") && !calls.contains(&"HcnModifyLoadBalancer"), "{calls:?}");
}

#[test]
fn an_hns_that_refuses_the_calls_of_the_measurement_has_given_an_answer() {
    let hns = hns_of("latest", "L2Bridge");
    let create = Which::Function("HcnCreateLoadBalancer".into());
    // From the creation with the id of a deleted load balancer on.
    let effect = Effect::Fail(Hresult::ERROR_ALREADY_EXISTS);
    hns.emulator.inject(Fault { which: create, from: 6, every: 1, effect });
    let before = hns.objects();
    let survey = probe(&hns, &FLAGS).expect(1).json();
    assert_eq!(answer(&survey, "reusedId"), pair("0x800700b7", "other"));
    assert_eq!((answer(&survey, "measurement"), hns.objects()), (pair("0x800700b7", "other"), before));
}

#[test]
fn objects_with_ids_that_hns_chose_are_removed_although_the_v1_lists_lack_them() {
    let hns = hns_of("latest", "L2Bridge");
    choose_ids(&hns.emulator);
    hide_from_v1(&hns.emulator);
    let before = hns.objects();
    let survey = probe(&hns, &FLAGS).expect(1).json();
    assert_eq!(answer(&survey, "v1List"), pair("missing", "other"));
    assert_eq!((answer(&survey, "removed"), hns.objects()), (pair("none", "expected"), before));
}

/// Removes what a killed probe has left.
fn clean_up_after_a_killed_probe(hns: &Hns) {
    let before = hns.objects();
    kill_at(hns, 5);
    release_call(hns);
    assert_ne!(hns.objects(), before);
    hnsproxy(&["probe", &hns.flag(), "--cleanup"]).expect(0);
    assert_eq!(hns.objects(), before);
}

#[test]
fn objects_that_both_lists_lack_are_removed_by_their_ids() {
    let hns = hns_of("latest", "L2Bridge");
    hide_from_v1(&hns.emulator);
    hide_from_v2(&hns.emulator);
    clean_up_after_a_killed_probe(&hns);
}

#[test]
fn objects_that_the_v1_lists_lack_are_removed_by_their_ids_with_the_v1_api_too() {
    let hns = hns_of("server2019-rtm", "L2Bridge");
    hide_from_v1(&hns.emulator);
    clean_up_after_a_killed_probe(&hns);
}

#[test]
fn objects_with_ids_that_hns_chose_are_removed_although_no_list_has_them() {
    for build in ["server2019-rtm", "latest"] {
        let hns = hns_of(build, "L2Bridge");
        choose_ids(&hns.emulator);
        hide_from_v1(&hns.emulator);
        hide_from_v2(&hns.emulator);
        let before = hns.objects();
        let survey = probe(&hns, &FLAGS).json();
        assert_eq!((answer(&survey, "removed"), hns.objects()), (pair("none", "expected"), before), "{build}");
    }
}

#[test]
fn an_object_that_cannot_be_read_may_be_left() {
    let hns = hns_of("latest", "L2Bridge");
    choose_ids(&hns.emulator);
    hide_from_v1(&hns.emulator);
    let before = hns.objects();
    let query = Which::Function("HcnQueryLoadBalancerProperties".into());
    hns.emulator.inject(Fault::of_each(query, Effect::Fail(Hresult::ERROR_GEN_FAILURE)));
    let survey = probe(&hns, &FLAGS).expect(2).json();
    assert_eq!(answer(&survey, "removed"), pair("not confirmed", "other"));
    hnsproxy(&["probe", &hns.flag(), "--cleanup"]).expect(2);
    hns.emulator.clear_faults();
    hnsproxy(&["probe", &hns.flag(), "--cleanup"]).expect(0);
    assert_eq!(hns.objects(), before);
}

#[test]
fn a_load_balancer_whose_address_cannot_be_read_may_be_of_a_probe() {
    let hns = hns_of("latest", "L2Bridge");
    let balancer = |vips: Value| {
        json!({"FrontendVIPs": vips, "HostComputeEndpoints": [],
               "PortMappings": [{"Protocol": 6, "InternalPort": 40128, "ExternalPort": 40127}]})
    };
    hns.emulator.add(Kind::LoadBalancer, balancer(json!(["172.16.0.1"])));
    hnsproxy(&["probe", &hns.flag(), "--cleanup"]).expect(0);
    let before = hns.objects();
    hide_from_v1(&hns.emulator);
    let unread = hns.emulator.add(Kind::LoadBalancer, balancer(json!({"0": "198.51.100.1"})));
    hnsproxy(&["probe", &hns.flag(), "--cleanup"]).expect(2);
    hns.emulator.replace(Kind::LoadBalancer, unread, balancer(json!(["198.51.100.1"])));
    hnsproxy(&["probe", &hns.flag(), "--cleanup"]).expect(0);
    assert_eq!(hns.objects(), before);
}

#[test]
fn an_hns_that_fails_without_codes_deletes_objects() {
    let hns = hns_of("server2019-rtm", "L2Bridge");
    hns.emulator.change_options(|options| options.fails_in_envelope = true);
    let before = hns.objects();
    let survey = probe(&hns, &FLAGS).json();
    assert_eq!(answer(&survey, "delete"), pair("succeeds", "expected"));
    assert_eq!((answer(&survey, "removed"), hns.objects()), (pair("none", "expected"), before));
}

#[test]
fn routes_are_not_objects_that_may_be_of_a_probe() {
    let hns = hns_of("server2019-rtm", "L2Bridge");
    let endpoint = hns.emulator.add_local_endpoint(NETWORKS[0], "pod", &["10.244.1.7".parse().unwrap()]);
    let body = json!({"References": [format!("/endpoints/{endpoint}")],
                      "Policies": [{"Type": "ROUTE", "DestinationPrefix": "10.96.0.0/12", "NeedEncap": true}]});
    let (path, body) = ("/policylists/".to_owned(), body.to_string());
    hns.emulator.call(&Call::Hns { method: Method::Post, path, body }).unwrap();
    hnsproxy(&["probe", &hns.flag(), "--cleanup"]).expect(0);
    assert_eq!(hns.emulator.documents(Kind::Route).len(), 1);
}

#[test]
fn a_probe_does_not_write_to_addresses_that_are_in_use_and_keeps_foreign_objects() {
    let network = json!({"Name": "test", "Type": "L2Bridge",
        "Ipams": [{"Subnets": [{"IpAddressPrefix": "198.51.100.0/25"}]}]});
    let endpoint = |address: &str| json!({"HostComputeNetwork": NETWORKS[0], "IpConfigurations": [{"IpAddress": address}], "Flags": 1});
    let balancer = |vips: Value, backends: Value| {
        json!({"FrontendVIPs": vips, "HostComputeEndpoints": backends,
               "PortMappings": [{"Protocol": 6, "InternalPort": 40128, "ExternalPort": 40127}]})
    };
    let backend = "0be07c06-0000-4000-8000-000000000001";
    let mut backend_of_another = endpoint("10.244.1.7");
    backend_of_another["ID"] = backend.into();
    let cases = [
        vec![(Kind::Network, network)],
        vec![(Kind::Endpoint, endpoint("192.0.2.77"))],
        vec![(Kind::LoadBalancer, balancer(json!([]), json!([])))],
        // As those of the probe, apart from their backends.
        vec![
            (Kind::Endpoint, backend_of_another),
            (Kind::LoadBalancer, balancer(json!(["198.51.100.1"]), json!([backend]))),
        ],
    ];
    for build in ["server2019-rtm", "latest"] {
        for objects in &cases {
            let hns = hns_of(build, "L2Bridge");
            for (kind, document) in objects {
                hns.emulator.add(*kind, document.clone());
            }
            let before = hns.objects();
            probe(&hns, &[&FLAGS[..], &["--network-name=cbr0"]].concat()).expect(2);
            hnsproxy(&["probe", &hns.flag(), "--cleanup"]).expect(0);
            assert_eq!((hns.objects(), hns.emulator.writes()), (before, 0), "{build} {objects:?}");
        }
    }
}

/// The number of writes of a probe.
fn writes(build: &str) -> u64 {
    let hns = hns_of(build, "L2Bridge");
    probe(&hns, &FLAGS);
    hns.emulator.writes()
}

/// Starts a probe that hangs at a write.
fn hang_at(hns: &Hns, write: u64, samples: &str) -> Child {
    hns.emulator.inject_times(Fault { which: Which::Writes, from: write, every: 0, effect: Effect::Hang }, 1);
    let mut command = command(&["probe", &hns.flag(), "--write", "--yes", samples]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("a call to hang", || hns.emulator.hung_calls(), |calls| *calls == 1);
    child
}

/// Kills a probe at a write that hangs.
fn kill_at(hns: &Hns, write: u64) {
    let mut child = hang_at(hns, write, "--samples=1");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Releases the call that a killed probe has left, which HNS carries out all the same. Waits for its end: it must not be taken for a call of the
/// next probe.
fn release_call(hns: &Hns) {
    hns.emulator.release();
    wait_until("the call to end", || hns.emulator.hung_calls(), |calls| *calls == 0);
}

#[test]
fn cleanup_removes_what_a_probe_leaves_that_is_killed_at_any_write() {
    let others = |emulator: &Emulator| {
        choose_ids(emulator);
        hide_from_v1(emulator);
    };
    let unchanged: &dyn Fn(&Emulator) = &|_| {};
    let presets = Build::names().map(|build| (build, unchanged));
    let choosing: [Case<'_>; 2] = [("latest", &choose_ids), ("latest", &others)];
    for (build, change) in presets.chain(choosing) {
        for write in 1..=writes(build) {
            let hns = hns_of(build, "L2Bridge");
            change(&hns.emulator);
            let before = hns.objects();
            kill_at(&hns, write);
            release_call(&hns);
            hnsproxy(&["probe", &hns.flag(), "--cleanup"]).expect(0);
            assert_eq!(hns.objects(), before, "{build}, write {write}");
        }
    }
}

#[test]
fn a_probe_removes_its_objects_after_an_error_at_any_write() {
    for effect in [Effect::Fail(Hresult::ERROR_GEN_FAILURE), Effect::FailAfter(Hresult::ERROR_TIMEOUT)] {
        for write in 1..=writes("latest") {
            let hns = hns_of("latest", "L2Bridge");
            let before = hns.objects();
            hns.emulator.inject_times(Fault { which: Which::Writes, from: write, every: 0, effect }, 1);
            probe(&hns, &FLAGS);
            assert_eq!(hns.objects(), before, "{effect:?}, write {write}");
        }
    }
}

#[test]
fn a_second_probe_removes_the_objects_of_a_killed_one_first() {
    let hns = hns_of("latest", "L2Bridge");
    let before = hns.objects();
    kill_at(&hns, 4);
    release_call(&hns);
    assert_ne!(hns.objects(), before);
    let survey = probe(&hns, &FLAGS).expect(0).json();
    assert_eq!((answer(&survey, "removed"), hns.objects()), (pair("none", "expected"), before));
}

#[cfg(unix)]
#[test]
fn a_probe_that_is_interrupted_removes_its_objects() {
    let hns = hns_of("latest", "L2Bridge");
    let before = hns.objects();
    // So many that the signal arrives before the last one.
    let mut child = hang_at(&hns, 3, "--samples=100000");
    interrupt(&child);
    hns.emulator.clear_faults();
    let ended = wait_until("the probe to end", || child.try_wait().unwrap(), Option::is_some);
    assert_eq!(ended.unwrap().code(), Some(2));
    assert_eq!(hns.objects(), before);
}

/// Sends SIGINT. On Linux, waits until the process has handled it: otherwise the probe may go on with another write.
#[cfg(unix)]
fn interrupt(child: &Child) {
    #[cfg(target_os = "linux")]
    let before = signals_handled(child);
    let signal = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    #[cfg(target_os = "linux")]
    wait_until("the signal to be handled", || signals_handled(child), |now| now.is_none() || *now > before);
}

/// How often the thread that handles signals has waited for one. `None` if the process has ended.
#[cfg(target_os = "linux")]
fn signals_handled(child: &Child) -> Option<u64> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).ok()?;
    let mut all = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok());
    let status = all.find(|status| status.starts_with("Name:\tctrl-c\n"))?;
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
}

#[cfg(unix)]
#[test]
fn a_probe_whose_removal_takes_longer_than_a_shutdown_removes_its_objects() {
    for flags in [&["--write", "--yes"][..], &["--cleanup"]] {
        let hns = hns_of("server2019", "L2Bridge");
        let before = hns.objects();
        if flags == ["--cleanup"] {
            kill_at(&hns, 4);
            release_call(&hns);
        }
        // The first deletion of the removal, or the third creation.
        let write = if flags == ["--cleanup"] { 1 } else { 3 };
        hns.emulator.inject_times(Fault { which: Which::Writes, from: write, every: 0, effect: Effect::Hang }, 1);
        let mut command = command(&[&["probe", &hns.flag()], flags].concat());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("a call to hang", || hns.emulator.hung_calls(), |calls| *calls == 1);
        interrupt(&child);
        hns.emulator.change_options(|options| options.pace = Pace::Released);
        hns.emulator.release();
        let ended = wait_until("the probe to end", || child.try_wait().unwrap(), Option::is_some);
        assert_eq!(ended.unwrap().code(), Some(if flags == ["--cleanup"] { 0 } else { 2 }));
        assert_eq!(hns.objects(), before);
    }
}

#[cfg(unix)]
#[test]
fn a_probe_that_is_interrupted_twice_ends_at_once_and_names_what_is_left() {
    let hns = hns_of("latest", "L2Bridge");
    // The load balancer is created, and its deletion hangs.
    hns.emulator.inject_times(Fault { which: Which::Writes, from: 3, every: 0, effect: Effect::Hang }, 1);
    hns.emulator.hang_nth("HcnDeleteLoadBalancer", 1);
    let mut command = command(&["probe", &hns.flag(), "--write", "--yes"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("a call to hang", || hns.emulator.hung_calls(), |calls| *calls == 1);
    interrupt(&child);
    hns.emulator.release();
    wait_until("the creation to end", || hns.calls_of("HcnCreateLoadBalancer"), |calls| *calls == 1);
    wait_until("the deletion to hang", || hns.emulator.hung_calls(), |calls| *calls == 1);
    interrupt(&child);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(3));
    let stderr = String::from_utf8(ended.stderr).unwrap();
    let ids = [Kind::Endpoint, Kind::LoadBalancer].into_iter().flat_map(|kind| hns.emulator.documents(kind));
    let ids: Vec<Value> = ids.map(|document| document["ID"].clone()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| stderr.contains(id.as_str().unwrap())), "{stderr}");
    hns.emulator.clear_faults();
}

#[test]
fn objects_that_hns_does_not_delete_are_reported() {
    let hns = hns_of("latest", "L2Bridge");
    let fail = Effect::Fail(Hresult::ERROR_GEN_FAILURE);
    hns.emulator.inject(Fault::of_each(Which::Function("HcnDeleteEndpoint".into()), fail));
    let survey = probe(&hns, &FLAGS).expect(2).json();
    assert_eq!(answer(&survey, "removed"), pair("some not", "other"));
    hnsproxy(&["probe", &hns.flag(), "--cleanup"]).expect(2);
    hns.emulator.clear_faults();
    hnsproxy(&["probe", &hns.flag(), "--cleanup"]).expect(0);
    assert_eq!(hns.objects(), hns_of("latest", "L2Bridge").objects());
}

#[test]
fn without_a_terminal_nothing_is_written_unless_confirmed() {
    let hns = hns_of("latest", "L2Bridge");
    probe(&hns, &["--write"]).expect(2);
    assert_eq!(hns.emulator.native_calls(), 0);
}

#[test]
fn a_probe_does_not_write_without_a_network() {
    let hns = hns_of("latest", "NAT");
    let survey = probe(&hns, &FLAGS).expect(2).json();
    assert_eq!((hns.emulator.writes(), &survey["networkChoice"]["name"]), (0, &json!(null)));
}

#[test]
fn a_probe_does_not_write_beside_a_running_hnsproxy() {
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&cluster_flag("boutique-l2bridge"), &hns.flag()]);
    running.wait_until_in_sync();
    let writes = hns.emulator.writes();
    probe(&hns, &FLAGS).expect(4);
    hnsproxy(&["probe", &hns.flag()]);
    assert_eq!(hns.emulator.writes(), writes);
}
