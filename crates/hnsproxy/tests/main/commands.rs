//! `plan`, `state`, `run --once` and `--cleanup`: what they print, program and return.

use hcn::Kind;
use serde_json::{Value, json};

use crate::support::hns::Hns;
#[cfg(unix)]
use crate::support::program::command_after;
use crate::support::program::{command, emulated, ended, hnsproxy};
use crate::support::recording::{cluster_flag, host, host_flag};

const BOUTIQUE: &str = "boutique-l2bridge";

fn boutique() -> (String, String) {
    (cluster_flag(BOUTIQUE), host_flag(BOUTIQUE))
}

#[test]
fn plan_exits_with_2_and_prints_a_step_for_each_missing_object() {
    let (from, hns) = boutique();
    let plan = hnsproxy(&["plan", &from, &hns, "-o=json"]).expect(2).json();
    let steps = plan["steps"].as_array().unwrap();
    let of = |action: &str| steps.iter().filter(|step| step["action"].get(action).is_some()).count();
    let load_balancers = of("CreateLoadBalancer");
    assert_eq!((load_balancers, of("CreateEndpoint") + load_balancers), (22, steps.len()), "{plan:#}");
}

#[test]
fn plan_exits_with_0_and_prints_no_step_after_a_run() {
    let (from, hns) = (boutique().0, Hns::of(BOUTIQUE));
    hnsproxy(&["run", &from, &hns.flag(), "--once"]).expect(0);
    let plan = hnsproxy(&["plan", &from, &hns.flag(), "-o=json"]).expect(0).json();
    assert_eq!(plan["steps"], json!([]));
}

#[test]
fn state_prints_what_run_has_programmed() {
    let (from, hns) = boutique();
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("host.json");
    let run =
        hnsproxy(&["run", &from, &hns, "--once", "-o=json", "--save-hns", saved.to_str().unwrap()]).expect(0).json();
    let state = hnsproxy(&["state", &emulated(&saved), "-o=json"]).expect(0).json();
    assert_eq!((&state["endpoints"], &state["loadBalancers"]), (&run["endpoints"], &run["loadBalancers"]));
}

#[cfg(unix)]
#[test]
fn a_program_that_is_killed_while_it_saves_leaves_the_previous_files() {
    let (from, hns) = boutique();
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("saved");
    std::fs::write(&saved, "before").unwrap();
    for flag in ["--save-hns", "--write-config-to"] {
        // The system kills the program when a file gets larger than this: one block.
        let mut program = command_after("ulimit -f 1", &["run", &from, &hns, "--once", flag, saved.to_str().unwrap()]);
        assert!(!program.output().unwrap().status.success());
        assert_eq!(std::fs::read_to_string(&saved).unwrap(), "before", "{flag}");
    }
}

#[test]
fn a_run_prints_the_calls_that_it_made() {
    let hns = Hns::of(BOUTIQUE);
    let run = hnsproxy(&["run", &boutique().0, &hns.flag(), "--once", "-o=json"]).expect(0).json();
    assert_eq!(run["calls"]["writes"], hns.emulator.writes());
    assert!(run["calls"]["native"].as_u64().unwrap() > hns.emulator.writes(), "{}", run["calls"]);
}

#[test]
fn ranges_of_another_family_than_the_nodes_change_nothing() {
    let (from, hns) = (cluster_flag("boutique-overlay"), host_flag("boutique-overlay"));
    let run = |ranges: &[&str]| {
        let flags = [from.as_str(), &hns, "--once", "-o=json", "--source-vip=10.244.1.9"];
        hnsproxy(&[&flags, ranges].concat()).expect(0).json()
    };
    let ranges = ["--detect-local-mode=ClusterCIDR", "--cluster-cidr=fd00::/48", "--nodeport-addresses=fd00::/48"];
    assert_eq!(run(&ranges), run(&[]));
}

#[test]
fn the_v1_api_is_used_where_hns_has_no_v2_api() {
    let mut document = host(BOUTIQUE);
    document.hns_version = "7.2".into();
    let (hns, from) = (Hns::on(&document), boutique().0);
    let first = hnsproxy(&[&from, &hns.flag(), "--once", "-o=json"]).expect(0).json();
    assert_eq!(first["loadBalancers"].as_array().unwrap().len(), 22);
    let functions: Vec<_> = hns.emulator.counters().into_keys().collect();
    assert!(!functions.contains(&"HcnCreateLoadBalancer"), "{functions:?}");
    let state = hnsproxy(&["state", &hns.flag(), "-o=json"]).expect(0).json();
    assert_eq!(state["loadBalancers"], first["loadBalancers"]);
    let second = hnsproxy(&[&from, &hns.flag(), "--once", "-o=json"]).expect(0).json();
    assert_eq!((&second["loadBalancers"], &second["calls"]["writes"]), (&first["loadBalancers"], &json!(0)));
}

#[test]
fn cleanup_deletes_the_objects_of_hnsproxy_and_no_others() {
    let hns = Hns::of(BOUTIQUE);
    let before = hns.objects();
    let foreign = json!({"FrontendVIPs": ["172.16.0.1"], "HostComputeEndpoints": [],
        "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 1}]});
    let foreign = hns.emulator.add(Kind::LoadBalancer, foreign);
    hnsproxy(&["run", &boutique().0, &hns.flag(), "--once"]).expect(0);
    assert!(hns.load_balancers().len() > 20);
    hnsproxy(&["--cleanup", &hns.flag()]).expect(0);
    assert_eq!(hns.load_balancers().len(), 1);
    hns.emulator.remove(Kind::LoadBalancer, foreign);
    assert_eq!(hns.objects(), before);
    hns.emulator.reset_journal();
    hnsproxy(&["--cleanup", &hns.flag()]).expect(0);
    assert_eq!(hns.emulator.writes(), 0);
}

#[test]
fn concurrent_writes_end_as_sequential_ones_do() {
    let (one, four) = (Hns::of("mixed-l2bridge"), Hns::of("mixed-l2bridge"));
    let cluster = cluster_flag("mixed-l2bridge");
    for (hns, concurrency) in [(&one, "1"), (&four, "4")] {
        let flag = format!("--hns-concurrency={concurrency}");
        hnsproxy(&["run", &cluster, &hns.flag(), "--once", &flag]).expect(0);
    }
    assert_eq!(four.objects(), one.objects());
    assert_eq!(four.emulator.writes(), one.emulator.writes());
}

#[test]
fn each_line_of_a_json_log_is_a_json_object() {
    let (from, hns) = boutique();
    let flags = ["--once", "--logging-format=json", "-v=6", "--feature-gates=Unknown=true,LoggingBetaOptions=false"];
    let ended = ended(&mut command(&[&[from.as_str(), &hns], &flags[..]].concat())).expect(0);
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let levels: Vec<_> = lines.iter().map(|line| line["level"].as_str().unwrap()).collect();
    assert!(["info", "warn", "debug"].iter().all(|level| levels.contains(level)), "{levels:?}");
    assert!(lines.iter().all(|line| line["ts"].is_f64() && line["msg"].is_string()), "{lines:#?}");
}

#[test]
fn yaml_and_json_have_the_same_content() {
    let (from, hns) = boutique();
    let packet = ["explain", "packet", "--from=10.244.0.3", "--to=10.96.0.10:53/UDP", &hns];
    let commands: [(&[&str], i32); 7] = [
        (&["plan", &from, &hns], 2),
        (&["run", &from, &hns, "--once"], 0),
        (&["state", &hns], 0),
        (&["explain", "svc", "kube-system/kube-dns", &from, &hns], 0),
        (&packet, 0),
        (&["probe", &hns], 1),
        (&["version"], 0),
    ];
    for (command, code) in commands {
        let mut json = hnsproxy(&[command, &["-o=json"]].concat()).expect(code).json();
        let text = hnsproxy(&[command, &["-o=yaml"]].concat()).expect(code).stdout;
        let mut yaml: Value = serde_saphyr::from_str(&text).unwrap();
        // How long calls took is different each time.
        for timing in [&mut json, &mut yaml].into_iter().filter_map(|survey| survey["timings"].as_array_mut()).flatten()
        {
            (timing["p50Ms"], timing["maxMs"]) = (Value::Null, Value::Null);
        }
        assert_eq!(yaml, json, "{command:?}\n{text}");
    }
}

#[test]
fn version_prints_versions_features_and_target() {
    let json = hnsproxy(&["version", "-o=json"]).expect(0).json();
    let target = json["target"].as_str().unwrap();
    assert!(target.starts_with(std::env::consts::ARCH) && target.contains(std::env::consts::OS), "{target}");
    let version = env!("CARGO_PKG_VERSION");
    let features = if cfg!(feature = "fuzzing") { json!(["emulator", "fuzzing"]) } else { json!(["emulator"]) };
    let expected = json!({"version": version, "kubernetesVersion": "v1.36.2", "features": features, "target": target});
    assert_eq!(json, expected);
}

#[test]
fn completion_prints_a_script_for_each_shell() {
    for (shell, part) in [
        ("bash", "_hnsproxy"),
        ("zsh", "#compdef hnsproxy"),
        ("fish", "complete -c hnsproxy"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = hnsproxy(&["completion", shell]).expect(0).stdout;
        for part in [part, "explain", "enable-dsr"] {
            assert!(script.contains(part), "{part} is not in\n{script}");
        }
    }
}
