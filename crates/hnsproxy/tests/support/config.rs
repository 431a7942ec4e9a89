//! A configuration file with addresses that no other test has.

use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;

use super::http::wait_for_page;
use super::program::free_addresses;
use super::running::Running;

pub(crate) struct ConfigFile {
    directory: TempDir,
    pub(crate) health: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

impl ConfigFile {
    /// A file with some fields, one a line.
    pub(crate) fn new(fields: &str) -> Self {
        let [health, metrics] = free_addresses();
        let file = Self { directory: tempfile::tempdir().unwrap(), health, metrics };
        file.write(fields);
        file
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("config.yaml")
    }

    pub(crate) fn flag(&self) -> String {
        format!("--config={}", self.path().display())
    }

    /// Replaces the file by one with these fields.
    pub(crate) fn write(&self, fields: &str) {
        self.write_with_health_at(self.health, fields);
    }

    /// As [`write`](Self::write), with another address of health checks.
    pub(crate) fn write_with_health_at(&self, health: SocketAddr, fields: &str) {
        let metrics = self.metrics;
        let text = format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
             healthzBindAddress: {health}\nmetricsBindAddress: {metrics}\n{fields}\n"
        );
        std::fs::write(self.path(), text).unwrap();
    }

    /// Starts the program with this file.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start_at(self.health, self.metrics, &[&[self.flag().as_str()], arguments].concat())
    }

    /// Waits until `/configz` has a text: the configuration with it is in use then.
    #[track_caller]
    pub(crate) fn wait_until_in_use(&self, text: &str) {
        wait_for_page(self.metrics, "/configz", |answer| answer.body.contains(text));
    }
}
