//! Tests `hnsproxy.exe` as a service of Wine's service control manager.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::recording::{Recording, held};
use crate::wine::Prefix;

const NAME: &str = "kube-proxy";
/// The longest wait for the service.
const BOUND: Duration = Duration::from_secs(60);
/// The registry key with the environment of services, which Wine reads when it starts.
const ENVIRONMENT: &str = r"HKLM\System\CurrentControlSet\Control\Session Manager\Environment";

/// Sets the address of an emulator in the environment of services. Removes it and the service when dropped.
struct Prepared<'a> {
    prefix: &'a Prefix,
    exe: &'a str,
}

impl<'a> Prepared<'a> {
    fn new(prefix: &'a Prefix, exe: &'a str, address: &str) -> Result<Self> {
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
    let _ = wine(prefix, &[exe, "service", "uninstall"]);
    let _ = wine(prefix, &["reg", "delete", ENVIRONMENT, "/v", "HNS_EMULATOR", "/f"]);
    let _ = prefix.wait_until_quiet();
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        clear(self.prefix, self.exe);
    }
}

/// Runs a program under Wine. Returns its exit code and output.
fn wine(prefix: &Prefix, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let result = prefix.command().args(arguments).stdin(Stdio::null()).output()?;
    let said = [result.stdout, result.stderr].concat();
    Ok((result.status.code(), String::from_utf8_lossy(&said).replace('\r', "")))
}

fn succeed(prefix: &Prefix, arguments: &[&str]) -> Result<String> {
    let (code, said) = wine(prefix, arguments)?;
    ensure!(code == Some(0), "{}: {code:?}: {said}", arguments.join(" "));
    Ok(said)
}

fn fail(prefix: &Prefix, arguments: &[&str], why: &str) -> Result<()> {
    let (code, said) = wine(prefix, arguments)?;
    ensure!(code == Some(1) && said.contains(why), "{}: {code:?}: {said}", arguments.join(" "));
    Ok(())
}

/// Waits until a condition holds.
fn until(what: &str, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < BOUND {
        if so()? {
            return Ok(());
        }
    }
    bail!("timeout waiting for {what}")
}

/// The exit code of the service, in the line `WIN32_EXIT_CODE : 0 (0x0)`.
fn exit_code(prefix: &Prefix) -> Result<Option<String>> {
    let (_, said) = wine(prefix, &["sc", "query", NAME])?;
    let line = said.lines().find(|line| line.contains("WIN32_EXIT_CODE"));
    Ok(line.and_then(|line| line.split(':').nth(1)?.split_whitespace().next().map(str::to_owned)))
}

/// Installed, started, stopped, started and removed, while HNS keeps its objects. What cannot be done is refused with a message.
pub(super) fn lives(recording: &Recording, here: &Path, program: &Path, prefix: &Prefix) -> Result<()> {
    let (one, other) = (recording.hns()?, recording.hns()?);
    let expected = held(&mut recording.here(here, &one))?;
    let exe = program.to_string_lossy();
    let from = format!("--from={}", recording.cluster_in_wine());
    let log = crate::folder::target()?.join("wine-service.log");
    let _ = std::fs::remove_file(&log);
    let log_file = format!("--log-file=Z:{}", log.display());
    let address = other.service.address().to_string();
    // Dropped after the keeper, so that Wine can end.
    let _prepared = Prepared::new(prefix, &exe, &address)?;
    // Wine ends its services with the last program that is not a service: this is one. A Wine server that another program starts would
    // keep the output of that program open.
    let _keeper = prefix.start_waiting()?;
    fail(prefix, &[&exe, "run", &from, "--windows-service"], "it did not start this one")?;
    fail(prefix, &[&exe, "service", "uninstall"], "there is no service kube-proxy")?;
    fail(prefix, &[&exe, "service", "install", "--", "--no-such-flag"], "--no-such-flag")?;

    let mut install: Vec<&str> = vec![&exe, "service", "install", "--", &from, &log_file, "-v=2"];
    install.extend(recording.flags.iter().map(String::as_str));
    let said = succeed(prefix, &install)?;
    ensure!(said.contains("created service kube-proxy") && said.contains("--windows-service"), "{said}");
    fail(prefix, &install, "there is a service kube-proxy already")?;

    let logged = || std::fs::read_to_string(&log).unwrap_or_default();
    let state = |wanted: &str| Ok(wine(prefix, &["sc", "query", NAME])?.1.contains(wanted));
    for _ in 0..2 {
        succeed(prefix, &["net", "start", NAME]).with_context(logged)?;
        until("the service runs", || state("RUNNING")).with_context(logged)?;
        until("what HNS should hold", || Ok(other.emulator.writes() >= one.emulator.writes())).with_context(logged)?;
        succeed(prefix, &["net", "stop", NAME]).with_context(logged)?;
        until("the service has stopped", || state("STOPPED")).with_context(logged)?;
        ensure!(exit_code(prefix)?.as_deref() == Some("0"), "the service did not end in order: {}", logged());
    }
    // By the second start nothing more was written, and in the end all is there.
    ensure!(other.emulator.writes() == one.emulator.writes(), "{} writes: {}", other.emulator.writes(), logged());
    let mut state_now = Command::new(here);
    state_now.args(["state", "-o=json"]).arg(format!("--hns=tcp://{address}"));
    let found = held(&mut state_now)?;
    ensure!(found.load_balancers == expected.load_balancers, "load balancers differ: {found:#?}");

    succeed(prefix, &["net", "start", NAME]).with_context(logged)?;
    let said = succeed(prefix, &[&exe, "service", "uninstall"])?;
    ensure!(said.contains("stopped") && said.contains("deleted service kube-proxy"), "{said}");
    fail(prefix, &[&exe, "service", "uninstall"], "there is no service kube-proxy")
}
