//! Recordings of kube-proxy: `cluster.json`, `host.json` (before) and `hns.json` (after, by kube-proxy).

use std::path::{Path, PathBuf};

use hcn_emulator::Host;
use serde_json::Value;

use super::program::{emulated, from};

pub(crate) fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

/// A file of a recording.
pub(crate) fn recording(name: &str, file: &str) -> PathBuf {
    recordings().join(name).join(file)
}

fn read(name: &str, file: &str) -> String {
    std::fs::read_to_string(recording(name, file)).unwrap()
}

/// The host of a recording before kube-proxy programmed it.
pub(crate) fn host(name: &str) -> Host {
    serde_json::from_str(&read(name, "host.json")).unwrap()
}

/// What HNS had in the end.
pub(crate) fn recorded(name: &str) -> Value {
    serde_json::from_str(&read(name, "hns.json")).unwrap()
}

/// The flags that kube-proxy had.
pub(crate) fn flags(recorded: &Value) -> Vec<String> {
    let note = recorded["note"].as_str().unwrap();
    note.split_whitespace().filter(|word| word.starts_with("--")).map(str::to_owned).collect()
}

/// The objects of the cluster.
pub(crate) fn objects(name: &str) -> Value {
    serde_json::from_str(&read(name, "cluster.json")).unwrap()
}

/// `--from=` of the cluster.
pub(crate) fn cluster_flag(name: &str) -> String {
    from(&recording(name, "cluster.json"))
}

/// `--hns=emulated:` of the host.
pub(crate) fn host_flag(name: &str) -> String {
    emulated(&recording(name, "host.json"))
}
