//! The programs of the Debian package `prometheus`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::http::get;
use crate::support::program::free_addresses;
use crate::support::wait::wait_until;

/// Whether these programs are installed. CI has to install them.
pub(super) fn is_here() -> bool {
    let is_here = ["prometheus", "promtool"].map(|program| Command::new(program).arg("--version").output().is_ok());
    if is_here == [true; 2] {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "prometheus and promtool not found: install the Debian package prometheus"
    );
    eprintln!("SKIPPED: prometheus and promtool not found; the Debian package prometheus has them");
    false
}

/// Runs promtool in a folder, if it is installed. It has to succeed.
#[track_caller]
pub(super) fn promtool(arguments: &[&str], folder: &Path) {
    if is_here() {
        let output = Command::new("promtool").args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{output:#?}");
    }
}

/// A running Prometheus. Killed when dropped.
pub(super) struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts it with a configuration file and flags.
    pub(super) fn start(configuration: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prometheus.yaml");
        fs::write(&file, configuration).unwrap();
        let [address] = free_addresses();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .args(flags)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let prometheus = Self { child, address, _folder: folder };
        let is_ready = |response: &Option<_>| {
            response.as_ref().is_some_and(|response: &crate::support::http::Response| response.code == 200)
        };
        wait_until("Prometheus to be ready", || get(address, "/-/ready"), is_ready);
        prometheus
    }

    /// The answer of its API.
    #[track_caller]
    pub(super) fn api(&self, path: &str) -> Value {
        let response = get(self.address, &format!("/api/v1/{path}")).unwrap();
        let answer = response.json();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    /// The series of an instant query.
    #[track_caller]
    pub(super) fn query(&self, query: &str) -> Vec<Value> {
        let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        self.api(&format!("query?query={encoded}"))["result"].as_array().unwrap().clone()
    }

    /// Waits until a query has data, and returns it.
    #[track_caller]
    pub(super) fn wait_for(&self, query: &str) -> Vec<Value> {
        wait_until(query, || self.query(query), |series: &Vec<Value>| !series.is_empty())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
