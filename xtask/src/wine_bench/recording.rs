//! Compares recordings programmed by `hnsproxy.exe` through the DLLs with those of the program of this system.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hcn_emulator::{Emulator, Host};
use serde_json::Value;

use super::Hns;
use crate::wine::Prefix;

/// The longest wait for the program.
const BOUND: Duration = Duration::from_secs(120);

/// The objects in HNS at the end of a run, and the calls of the run.
#[derive(Debug, PartialEq)]
pub(super) struct Held {
    pub(super) endpoints: Value,
    pub(super) load_balancers: Value,
    /// `native` and `writes`.
    calls: Value,
}

/// Runs a program that ends when HNS is in sync, and prints what HNS has then.
pub(super) fn held(command: &mut Command) -> Result<Held> {
    let result = command.stdin(Stdio::null()).output()?;
    let log = String::from_utf8_lossy(&result.stderr).into_owned();
    ensure!(result.status.success(), "{}: {log}", result.status);
    let document: Value = serde_json::from_slice(&result.stdout).with_context(|| log.clone())?;
    let member = |name: &str| document.get(name).cloned().unwrap_or_default();
    Ok(Held { endpoints: member("endpoints"), load_balancers: member("loadBalancers"), calls: member("calls") })
}

/// A recording with its flags.
pub(super) struct Recording {
    pub(super) cluster: PathBuf,
    host: Host,
    /// The flags of the node, and those of kube-proxy when it was recorded.
    pub(super) flags: Vec<String>,
}

const ONCE: [&str; 3] = ["run", "--once", "-o=json"];

impl Recording {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).with_context(|| name.to_owned());
        let host: Host = serde_json::from_str(&read("host.json")?)?;
        let recorded: Value = serde_json::from_str(&read("hns.json")?)?;
        let note = recorded.get("note").and_then(Value::as_str).unwrap_or_default();
        let mut flags = vec!["--network-name=cbr0".to_owned()];
        flags.extend(note.split_whitespace().filter(|word| word.starts_with("--")).map(str::to_owned));
        flags.push(format!("--hostname-override={}", host.node));
        flags.extend(host.host_mac.iter().map(|mac| format!("--node-mac={mac}")));
        flags.extend(host.node_ips.iter().map(|ip| format!("--node-ip={ip}")));
        Ok(Self { cluster: folder.join("cluster.json"), host, flags })
    }

    pub(super) fn hns(&self) -> Result<Hns> {
        Hns::new(Emulator::from_host(&self.host)?, &self.host)
    }

    /// The file of the cluster for Windows programs: Wine has the files of this system on drive Z.
    pub(super) fn cluster_in_wine(&self) -> String {
        format!("Z:{}", self.cluster.display())
    }

    /// The program of this system, with the service of an emulator.
    pub(super) fn here(&self, program: &Path, hns: &Hns) -> Command {
        let mut command = Command::new(program);
        command.args(ONCE).args(&self.flags).arg("--from").arg(&self.cluster);
        command.arg(format!("--hns=tcp://{}", hns.service.address()));
        command
    }

    /// The Windows program, with the service of an emulator through the DLLs.
    pub(super) fn through_dlls(&self, program: &Path, prefix: &Prefix, hns: &Hns) -> Command {
        let mut command = prefix.command();
        command.arg(program).args(ONCE).args(&self.flags).arg(format!("--from={}", self.cluster_in_wine()));
        hns.tell(&mut command);
        command
    }
}

/// Both programs have the same result by the same calls, and a second run writes nothing.
pub(super) fn equal(recording: &Recording, here: &Path, program: &Path, prefix: &Prefix) -> Result<()> {
    let (one, other) = (recording.hns()?, recording.hns()?);
    let expected = held(&mut recording.here(here, &one))?;
    let found = held(&mut recording.through_dlls(program, prefix, &other))?;
    ensure!(found == expected, "through the DLLs: {found:#?}\non this system: {expected:#?}");
    ensure!(one.journal() == other.journal(), "the calls differ");
    let second = held(&mut recording.through_dlls(program, prefix, &other))?;
    ensure!(second.calls.get("writes") == Some(&Value::from(0)), "a second run: {}", second.calls);
    ensure!(second.load_balancers == expected.load_balancers, "a second run changes load balancers");
    Ok(())
}

/// A program that is killed during programming and started again has the same result.
pub(super) fn killed(recording: &Recording, here: &Path, program: &Path, prefix: &Prefix) -> Result<()> {
    let (one, other) = (recording.hns()?, recording.hns()?);
    let expected = held(&mut recording.here(here, &one))?;
    let all = one.emulator.writes();
    for part in 1..4 {
        // Slow enough to be killed before the end on any machine.
        other.emulator.delay("HcnCreateLoadBalancer", Duration::from_millis(50));
        let mut command = recording.through_dlls(program, prefix, &other);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let goal = all * part / 4;
        let start = Instant::now();
        while other.emulator.writes() < goal && start.elapsed() < BOUND && child.try_wait()?.is_none() {
            std::thread::yield_now();
        }
        child.kill()?;
        child.wait()?;
        other.emulator.clear_faults();
        ensure!(other.emulator.writes() >= goal, "{goal} of {all} writes were not reached");
    }
    let found = held(&mut recording.through_dlls(program, prefix, &other))?;
    ensure!(found.endpoints == expected.endpoints, "endpoints differ: {found:#?}");
    ensure!(found.load_balancers == expected.load_balancers, "load balancers differ: {found:#?}");
    ensure!(other.emulator.writes() <= all + 3, "{} writes for what {all} do", other.emulator.writes());
    Ok(())
}
