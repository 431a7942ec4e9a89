//! Tests `hnsproxy.exe probe`: it finds the same through the DLLs as on this system, and leaves nothing behind.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hcn::Kind;
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::{Build, Emulator};
use serde_json::Value;

use super::Hns;
use super::recording::Recording;
use crate::wine::Prefix;

/// The longest wait for a call.
const BOUND: Duration = Duration::from_secs(60);
const PROBE: [&str; 3] = ["probe", "-o=json", "--network-name=cbr0"];
const WRITE: [&str; 3] = ["--write", "--yes", "--samples=1"];

/// Probes an HNS of a build, without and with writes, and removes what is left by a probe that was killed at the given write (counted from 1).
pub(super) fn leaves_nothing(
    recording: &Recording,
    build: &Build,
    killed_at: u64,
    here: &Path,
    program: &Path,
    prefix: &Prefix,
) -> Result<()> {
    let (one, other) = (recording.hns()?, recording.hns()?);
    for hns in [&one, &other] {
        hns.emulator().change_build(build.clone());
    }
    let before = objects(other.emulator());
    for flags in [&[][..], &WRITE] {
        let mut on_this_system = Command::new(here);
        on_this_system.args(PROBE).arg(format!("--hns=tcp://{}", one.address())).args(flags);
        let expected = answers(&mut on_this_system)?;
        let found = answers(&mut through_dlls(program, prefix, &other, flags))?;
        ensure!(found == expected, "through the DLLs: {found:#?}\non this system: {expected:#?}");
        ensure!(objects(other.emulator()) == before, "{flags:?}: HNS has other objects than before");
        let writes = other.emulator().writes();
        ensure!(!flags.is_empty() || writes == 0, "{writes} writes without --write");
    }
    other.emulator().inject_times(Fault { which: Which::Writes, from: killed_at, every: 0, effect: Effect::Hang }, 1);
    let mut command = through_dlls(program, prefix, &other, &WRITE);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let start = Instant::now();
    while other.emulator().hung_calls() == 0 && start.elapsed() < BOUND && child.try_wait()?.is_none() {
        std::thread::yield_now();
    }
    child.kill()?;
    child.wait()?;
    // HNS carries out the call all the same. It must have ended before the objects are compared.
    other.emulator().release();
    let start = Instant::now();
    while other.emulator().hung_calls() > 0 && start.elapsed() < BOUND {
        std::thread::yield_now();
    }
    ensure!(objects(other.emulator()) != before, "the killed probe has left nothing");
    let status = through_dlls(program, prefix, &other, &["--cleanup"]).stdin(Stdio::null()).output()?.status;
    ensure!(status.success(), "--cleanup: {status}");
    ensure!(objects(other.emulator()) == before, "--cleanup: HNS has other objects than before");
    Ok(())
}

fn through_dlls(program: &Path, prefix: &Prefix, hns: &Hns, flags: &[&str]) -> Command {
    let mut command = prefix.command();
    command.arg(program).args(PROBE).args(flags);
    hns.set_address(&mut command);
    command
}

/// The checks of a probe, each with what was observed and the verdict.
fn answers(command: &mut Command) -> Result<Vec<[Value; 3]>> {
    let result = command.stdin(Stdio::null()).output()?;
    let log = String::from_utf8_lossy(&result.stderr).into_owned();
    // The recording has pods without an exception list, which is other than expected: code 1.
    ensure!(matches!(result.status.code(), Some(0 | 1)), "{}: {log}", result.status);
    let survey: Value = serde_json::from_slice(&result.stdout).with_context(|| log.clone())?;
    let findings = survey.get("findings").and_then(Value::as_array).context("missing findings")?;
    let member = |finding: &Value, name: &str| finding.get(name).cloned().unwrap_or_default();
    Ok(findings.iter().map(|finding| ["check", "observed", "verdict"].map(|name| member(finding, name))).collect())
}

fn objects(emulator: &Emulator) -> Vec<Value> {
    [Kind::Network, Kind::Endpoint, Kind::LoadBalancer].into_iter().flat_map(|kind| emulator.documents(kind)).collect()
}
