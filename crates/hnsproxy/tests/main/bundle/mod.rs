//! `bundle`: the parts, the replay on another computer, and the removal of secrets.

#[cfg(unix)]
mod secrets;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use hcn_emulator::faults::{Effect, Fault, Which};
use serde_json::Value;
use tempfile::TempDir;
use test_api_server::Credentials;
use zip::ZipArchive;

use crate::support::cluster::Cluster;
use crate::support::hns::Hns;
use crate::support::program::{emulated, from, hnsproxy};
use crate::support::recording::{cluster_flag, flags, host_flag, recorded};
use crate::support::running::Running;

const BOUTIQUE: &str = "boutique-l2bridge";

/// The parts of a bundle, without compression.
fn parts(file: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(File::open(file).unwrap()).unwrap();
    let count = archive.len();
    let part = |number| {
        let mut part = archive.by_index(number).unwrap();
        let name = part.name().unwrap().into_owned();
        let mut content = Vec::new();
        part.read_to_end(&mut content).unwrap();
        (name, content)
    };
    (0..count).map(part).collect()
}

/// The names of the parts with a result, in the order of the manifest.
fn names(manifest: &Value, result: &str) -> Vec<String> {
    let parts = manifest["parts"].as_array().unwrap().iter().filter(|part| part["result"] == result);
    parts.map(|part| part["name"].as_str().unwrap().to_owned()).collect()
}

/// A folder for a bundle.
struct Target(TempDir);

impl Target {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("node.zip")
    }

    fn argument(&self) -> String {
        self.file().display().to_string()
    }
}

/// The output of a command, without its description of HNS.
fn replayed(arguments: &[&str]) -> Value {
    let mut document: Value = serde_json::from_str(&hnsproxy(arguments).stdout).unwrap();
    if let Value::Object(members) = &mut document {
        members.shift_remove("description");
    }
    document
}

#[test]
fn a_node_is_replayed_from_its_bundle() {
    for name in [BOUTIQUE, "boutique-overlay", "mixed-l2bridge"] {
        let (cluster, hns, target) = (Cluster::recorded(name), Hns::of(name), Target::new());
        let (kubeconfig, at) = (cluster.flag(&Credentials::None), hns.flag());
        let settings = flags(&recorded(name));
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        let running = Running::start(&[&[kubeconfig.as_str(), &at], &settings[..]].concat());
        running.wait_until_in_sync();
        let debug = format!("--debug-address={}", running.metrics);
        // Half of the load balancers are deleted and no process repairs them, so that the plan is not empty.
        let node = [&[kubeconfig.as_str(), &at, "-o=json"], &settings[..]].concat();
        let argument = target.argument();
        let bundle = [&["bundle", &argument, &debug][..], &node].concat();
        let manifest = hnsproxy(&bundle).expect(0).json();
        assert_eq!(names(&manifest, "missing"), [""; 0], "{manifest:#}");
        let whole = parts(&target.file());
        let names_of_parts: Vec<_> = whole.keys().filter(|name| *name != "manifest.json").cloned().collect();
        let mut written = names(&manifest, "written");
        written.sort();
        assert_eq!(written, names_of_parts);
        assert_eq!(serde_json::from_slice::<Value>(&whole["manifest.json"]).unwrap(), manifest);
        drop(running);
        for load_balancer in hns.load_balancers().iter().step_by(2) {
            hns.remove(load_balancer);
        }
        hnsproxy(&bundle).expect(1);
        hnsproxy(&[&bundle[..], &["--force"]].concat()).expect(1);
        let (cluster, objects) = (from(&target.file()), emulated(&target.file()));
        let copy = [&[cluster.as_str(), &objects, "-o=json"], &settings[..]].concat();
        let (of_copy, of_node) =
            (replayed(&[&["plan"], &copy[..]].concat()), replayed(&[&["plan"], &node[..]].concat()));
        assert_eq!(of_copy, of_node, "{name}");
        assert_ne!(of_node["steps"].as_array().map(Vec::len), Some(0), "{name}");
        let part: Value = serde_json::from_slice(&parts(&target.file())["plan.json"]).unwrap();
        assert_eq!(part["steps"], of_node["steps"], "{name}");
        // No process runs, and the Services that lack a load balancer are explained.
        let explained: Vec<Value> = serde_json::from_slice(&parts(&target.file())["explained.json"]).unwrap();
        assert!(!explained.is_empty(), "{name}");
        for one in explained {
            let service = format!(
                "{}/{}",
                one["service"]["namespace"].as_str().unwrap(),
                one["service"]["name"].as_str().unwrap()
            );
            assert_eq!(replayed(&[&["explain", "svc", &service], &copy[..]].concat()), one, "{name}");
        }
        let explained = hnsproxy(&[&["explain", "svc", "default/kubernetes"], &copy[..]].concat()).expect(0).json();
        assert_eq!(explained["frontends"].as_array().map(Vec::len), Some(1), "{name}: {explained:#}");
        let doctor = hnsproxy(&[&["doctor"], &copy[..]].concat()).expect(1).json();
        let checks = doctor["checks"].as_array().unwrap();
        let result = |check: &str| checks.iter().find(|one| one["check"] == check).unwrap()["result"].clone();
        assert_eq!((result("hns"), result("networks")), ("ok".into(), "ok".into()), "{name}: {doctor:#}");
        hnsproxy(&[&["run", "--once"], &copy[..]].concat()).expect(0);
        hnsproxy(&[&["run"], &copy[..]].concat()).expect(1);
    }
}

#[test]
fn a_file_that_exists_is_replaced_only_with_force() {
    let target = Target::new();
    fs::write(target.file(), "before").unwrap();
    let (argument, cluster, host) = (target.argument(), cluster_flag(BOUTIQUE), host_flag(BOUTIQUE));
    let bundle = ["bundle", &argument, &cluster, &host];
    hnsproxy(&bundle).expect(1);
    assert_eq!(fs::read_to_string(target.file()).unwrap(), "before");
    hnsproxy(&[&bundle[..], &["--force"]].concat()).expect(0);
    assert!(parts(&target.file()).contains_key("manifest.json"));
    assert_eq!(fs::read_dir(target.0.path()).unwrap().count(), 1);
}

#[test]
fn the_other_parts_are_written_while_hns_hangs_and_no_process_responds() {
    let (cluster, hns, target) = (Cluster::recorded(BOUTIQUE), Hns::of(BOUTIQUE), Target::new());
    let (kubeconfig, at) = (cluster.flag(&Credentials::None), hns.flag());
    hns.emulator.inject(Fault::of_each(Which::Any, Effect::Hang));
    let node = [kubeconfig.as_str(), &at, "--hns-call-budget=1", "--debug-address=127.0.0.1:1", "-o=json"];
    let manifest = hnsproxy(&[&["bundle", &target.argument()], &node[..]].concat()).expect(1).json();
    let missing = names(&manifest, "missing");
    for name in
        ["hns.json", "hns-v1.json", "plan.json", "explained.json", "process/statusz.json", "process/problems.json"]
    {
        assert!(missing.iter().any(|one| one == name), "{name}: {missing:?}");
    }
    let written = names(&manifest, "written");
    let expected = [
        "version.json",
        "arguments.json",
        "configuration.yaml",
        "kubeconfig.json",
        "environment.json",
        "doctor.txt",
        "doctor.json",
        "cluster.json",
        "cluster-problems.json",
    ];
    assert_eq!(written, expected);
    // The error of a command names the missing part.
    let (cluster, objects) = (from(&target.file()), emulated(&target.file()));
    let ended = hnsproxy(&["plan", &cluster, &objects]).expect(1);
    assert!(ended.stderr.contains("missing part hns.json"), "{ended:?}");
    hns.emulator.release();
}
