//! Tests `hnsproxy.exe` as a service of Wine's service control manager.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::recording::{Recording, outcome};
use crate::http::{free_addresses, get};
use crate::wine::Prefix;

pub(super) const NAME: &str = "kube-proxy";
/// A second service of hnsproxy.
const SECOND: &str = "kube-proxy-second";
const SECOND_KEY: &str = r"HKLM\System\CurrentControlSet\Services\kube-proxy-second";
/// The longest wait for the service.
const BOUND: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
/// The registry key with the environment of services, which Wine reads when it starts.
const ENVIRONMENT: &str = r"HKLM\System\CurrentControlSet\Control\Session Manager\Environment";
/// The registry key of the source of the service's events.
const EVENT_SOURCE: &str = r"HKLM\System\CurrentControlSet\Services\EventLog\Application\hnsproxy";

/// Sets the address of an emulator in the environment of services. Removes it and the service when dropped.
pub(super) struct Prepared<'a> {
    prefix: &'a Prefix,
    exe: &'a str,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(prefix: &'a Prefix, exe: &'a str, address: &str) -> Result<Self> {
        let prepared = Self { prefix, exe };
        clear(prefix, exe);
        succeed(prefix, &["reg", "add", ENVIRONMENT, "/v", "HNS_EMULATOR", "/d", address, "/f"])?;
        prefix.wait_until_quiet()?;
        Ok(prepared)
    }
}

/// Removes the service and the environment of services, also those of an interrupted run, whose emulator no longer exists.
pub(super) fn clear(prefix: &Prefix, exe: &str) {
    // Fails if they do not exist.
    for name in [NAME, SECOND] {
        let _ = wine(prefix, &[exe, "service", "uninstall", "--name", name]);
    }
    let _ = wine(prefix, &["reg", "delete", ENVIRONMENT, "/v", "HNS_EMULATOR", "/f"]);
    let _ = prefix.wait_until_quiet();
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        clear(self.prefix, self.exe);
    }
}

/// Whether the source of events is registered.
pub(super) fn has_event_source(prefix: &Prefix) -> Result<bool> {
    wine(prefix, &["reg", "query", EVENT_SOURCE]).map(|(code, _)| code == Some(0))
}

/// Runs a program under Wine. Returns its exit code and output.
pub(super) fn wine(prefix: &Prefix, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let result = prefix.command().args(arguments).stdin(Stdio::null()).output()?;
    let output = [result.stdout, result.stderr].concat();
    Ok((result.status.code(), String::from_utf8_lossy(&output).replace('\r', "")))
}

pub(super) fn succeed(prefix: &Prefix, arguments: &[&str]) -> Result<String> {
    let (code, output) = wine(prefix, arguments)?;
    ensure!(code == Some(0), "{}: {code:?}: {output}", arguments.join(" "));
    Ok(output)
}

/// Expects exit code 1 and an error that contains this text.
pub(super) fn fail(prefix: &Prefix, arguments: &[&str], error: &str) -> Result<()> {
    let (code, output) = wine(prefix, arguments)?;
    ensure!(code == Some(1) && output.contains(error), "{}: {code:?}: {output}", arguments.join(" "));
    Ok(())
}

/// Waits until a condition holds.
pub(super) fn until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < BOUND {
        if condition()? {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    bail!("timeout waiting for {what}")
}

/// Starts the service. A service control manager refuses that while the process of the last run has not ended, which is a moment after
/// it reported *stopped*.
pub(super) fn start(prefix: &Prefix) -> Result<()> {
    until("the service to start", || Ok(wine(prefix, &["net", "start", NAME])?.0 == Some(0)))
}

/// What `sc query` reports of the service, in lines such as `STATE : 4  RUNNING` and `WIN32_EXIT_CODE : 0  (0x0)`.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) state: String,
    exit_code: String,
}

impl Report {
    pub(super) fn query(prefix: &Prefix) -> Result<Self> {
        let output = succeed(prefix, &["sc", "query", NAME])?;
        let word = |field: &str, number: usize| {
            let fields = output.lines().filter_map(|line| line.split_once(':'));
            let value = fields.filter(|(name, _)| name.trim() == field).map(|(_, value)| value).next();
            let word = value.and_then(|value| value.split_whitespace().nth(number));
            word.map(str::to_owned).with_context(|| format!("missing {field} in {output}"))
        };
        Ok(Self { state: word("STATE", 1)?, exit_code: word("WIN32_EXIT_CODE", 0)? })
    }
}

/// Install, start, stop, start and uninstall keep the objects in HNS. Invalid commands have clear errors.
pub(super) fn runs(recording: &Recording, here: &Path, program: &Path, prefix: &Prefix) -> Result<()> {
    let (one, other) = (recording.hns()?, recording.hns()?);
    let expected = outcome(&mut recording.here(here, &one))?;
    let exe = program.to_string_lossy();
    let [health, metrics] = free_addresses()?;
    let from = format!("--from={}", recording.cluster_in_wine());
    let log = crate::folder::target()?.join("wine-service.log");
    let _ = std::fs::remove_file(&log);
    let log_file = format!("--log-file=Z:{}", log.display());
    let (health, metrics_flag) =
        (format!("--healthz-bind-address={health}"), format!("--metrics-bind-address={metrics}"));
    let address = other.address().to_string();
    // Dropped after the keeper, so that Wine can end.
    let _prepared = Prepared::new(prefix, &exe, &address)?;
    // Wine ends its services with the last program that is not a service: this is one. A Wine server that another program starts would
    // keep the output of that program open.
    let _keeper = prefix.start_waiting()?;
    fail(prefix, &[&exe, "run", &from, "--windows-service"], "--windows-service is only for a process")?;
    fail(prefix, &[&exe, "service", "uninstall"], "service kube-proxy not found")?;
    fail(prefix, &[&exe, "service", "install", "--", "--no-such-flag"], "--no-such-flag")?;

    let mut install: Vec<&str> =
        vec![&exe, "service", "install", "--", &from, &log_file, "-v=2", &health, &metrics_flag];
    install.extend(recording.flags.iter().map(String::as_str));
    let output = succeed(prefix, &install)?;
    ensure!(output.contains("created service kube-proxy") && output.contains("--windows-service"), "{output}");
    fail(prefix, &install, "service kube-proxy exists and runs")?;
    let mut second = prefix.command();
    second.arg(program).args(["service", "install", "--name", SECOND, "--", &from]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    let status = second.stdin(Stdio::null()).stdout(full).stderr(Stdio::null()).status()?;
    ensure!(status.code() == Some(1), "installation with a full output: {status}");
    succeed(prefix, &["reg", "query", SECOND_KEY, "/v", "Description"])?;
    succeed(prefix, &[&exe, "service", "uninstall", "--name", SECOND])?;
    ensure!(has_event_source(prefix)?, "the source of events is not registered");

    let log = || std::fs::read_to_string(&log).unwrap_or_default();
    let is_ready = || get(metrics, "/readyz").is_some_and(|page| page.code == 200);
    for _ in 0..2 {
        start(prefix).with_context(log)?;
        until("the service to run", || Ok(Report::query(prefix)?.state == "RUNNING")).with_context(log)?;
        until("/readyz", || Ok(is_ready())).with_context(log)?;
        succeed(prefix, &["net", "stop", NAME]).with_context(log)?;
        until("the service to stop", || Ok(Report::query(prefix)?.state == "STOPPED")).with_context(log)?;
        let report = Report::query(prefix)?;
        ensure!(report.exit_code == "0", "{report:?}: {}", log());
    }
    ensure!(other.emulator.writes() == one.emulator.writes(), "{} writes: {}", other.emulator.writes(), log());
    let mut state = Command::new(here);
    state.args(["state", "-o=json"]).arg(format!("--hns=tcp://{address}"));
    let found = outcome(&mut state)?;
    ensure!(found.load_balancers == expected.load_balancers, "load balancers differ: {found:#?}");

    start(prefix).with_context(log)?;
    let output = succeed(prefix, &[&exe, "service", "uninstall"])?;
    ensure!(output.contains("stopped") && output.contains("deleted service kube-proxy"), "{output}");
    ensure!(!has_event_source(prefix)?, "the source of events is still registered");
    fail(prefix, &[&exe, "service", "uninstall"], "service kube-proxy not found")
}
