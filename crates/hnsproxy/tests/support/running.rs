//! The running program, and its state from `/readyz`.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

use super::http::{Response, get};
#[cfg(unix)]
use super::program::command_after;
use super::program::{command, free_addresses};
use super::wait::wait_until;

/// Killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: RefCell<Child>,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    /// The address of health checks.
    pub(crate) health: SocketAddr,
    /// The address of metrics and all other pages.
    pub(crate) metrics: SocketAddr,
}

impl Running {
    /// Starts the program, at addresses that no other test has.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let [health, metrics] = free_addresses();
        Self::start_at(health, metrics, arguments)
    }

    /// Starts the program at addresses. A configuration file has to name the same.
    pub(crate) fn start_at(health: SocketAddr, metrics: SocketAddr, arguments: &[&str]) -> Self {
        Self::spawn(health, metrics, &mut command(arguments))
    }

    /// Starts the program from a shell after a command, such as `ulimit`, at addresses that no other test has.
    #[cfg(unix)]
    pub(crate) fn start_after(setup: &str, arguments: &[&str]) -> Self {
        let [health, metrics] = free_addresses();
        Self::spawn(health, metrics, &mut command_after(setup, arguments))
    }

    fn spawn(health: SocketAddr, metrics: SocketAddr, command: &mut Command) -> Self {
        let addresses = [format!("--healthz-bind-address={health}"), format!("--metrics-bind-address={metrics}")];
        let mut child = command.args(addresses).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (log.clone(), BufReader::new(child.stderr.take().unwrap()));
        let reader = std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line));
        });
        Self { child: RefCell::new(child), log, reader: Some(reader), health, metrics }
    }

    /// The document of `/readyz`. None if nothing answers.
    pub(crate) fn state(&self) -> Option<Value> {
        get(self.metrics, "/readyz").map(|answer| answer.json())
    }

    /// Waits until the document of `/readyz` is accepted, and returns it.
    #[track_caller]
    pub(crate) fn wait_for_state(&self, what: &str, accept: impl Fn(&Value) -> bool) -> Value {
        let state = || {
            let exit = self.exit_status();
            assert!(exit.is_none(), "waiting for {what}, but the program ended: {exit:?}");
            self.state()
        };
        wait_until(what, state, |state| state.as_ref().is_some_and(&accept)).unwrap()
    }

    /// Waits until HNS is in sync and no change is pending.
    #[track_caller]
    pub(crate) fn wait_until_in_sync(&self) -> Value {
        let is_in_sync =
            |state: &Value| state["in_sync"] == true && state["pending_changes"]["oldest_seconds"].is_null();
        self.wait_for_state("HNS to be in sync", is_in_sync)
    }

    /// Waits until HNS is not in sync, for a reason of the document of `/readyz`.
    #[track_caller]
    pub(crate) fn wait_until_waiting_for(&self, reason: &str) -> Value {
        let has =
            |state: &Value| state["waiting_for"].as_array().unwrap().iter().any(|waiting| waiting["reason"] == reason);
        self.wait_for_state(reason, has)
    }

    /// Waits until the source of the cluster is available, or until it is not.
    #[track_caller]
    pub(crate) fn wait_until_cluster_available(&self, available: bool) -> Value {
        let what = format!("the API server to be available: {available}");
        self.wait_for_state(&what, |state| state["cluster"]["available"] == available)
    }

    /// Waits until one line of the log has a text. For tests of messages only.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        let log = || self.log.lock().unwrap().clone();
        wait_until(text, log, |log| log.iter().any(|line| line.contains(text)));
    }

    /// The page of metrics.
    pub(crate) fn metrics_page(&self) -> Response {
        get(self.metrics, "/metrics").unwrap()
    }

    /// The largest amount of memory so far that was resident, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.borrow().id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    fn exit_status(&self) -> Option<ExitStatus> {
        self.child.borrow_mut().try_wait().unwrap()
    }

    /// Waits until the program has ended by itself, and returns its exit code.
    #[track_caller]
    pub(crate) fn exit_code(&self) -> Option<i32> {
        wait_until("the program to end", || self.exit_status(), Option::is_some).unwrap().code()
    }

    /// Sends a signal to the program, such as `TERM`.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.borrow().id().to_string();
        let signal = format!("-{name}");
        assert!(std::process::Command::new("kill").args([&signal, &id]).status().unwrap().success());
    }

    /// Interrupts the program, which has to end without an error. Returns its log.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn interrupt(self) -> Vec<String> {
        self.signal("INT");
        assert_eq!(self.exit_code(), Some(0));
        self.kill()
    }

    /// Kills the program, unless it has ended, and returns its log.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.stop();
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    fn stop(&mut self) {
        let child = self.child.get_mut();
        // It may have ended.
        let _ = child.kill();
        let _ = child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("log of the program:\n{}", self.log.lock().unwrap().join("\n"));
        }
    }
}
