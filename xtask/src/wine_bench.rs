//! Shows the Windows program at work: `hnsproxy.exe` under Wine, which calls the stand-in DLLs, which carry each call to an emulated HNS.
//!
//! What is shown: every recording, programmed through the DLLs, ends as it does by the program of this system, by the same calls in the
//! same order, and a second run writes nothing; killed in the middle and started again, it ends the same; and the conformance suite
//! passes as a Windows program. Nothing here is the real HNS.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hcn_emulator::service::Running;
use hcn_emulator::{Build, Emulator, Host, Service};
use serde_json::Value;

use crate::process::{output, run as run_command, say};
use crate::wine::Prefix;
use crate::{system, windows};

/// The names under which Windows has what the stand-in DLL does.
const DLLS: [&str; 2] = ["computenetwork.dll", "vmcompute.dll"];

/// Whatever the program has not done by then, it will not do.
const BOUND: Duration = Duration::from_secs(120);

/// The task.
pub(crate) fn run() -> Result<ExitCode> {
    let programs = windows::build(&windows::Arguments::of(&["hnsproxy", "hcn-emulator-dll"]))?;
    let examples = windows::build(&windows::Arguments::tests_of(&["hcn-emulator".to_owned()]))?;
    let find = |name: &str| -> Result<PathBuf> {
        let mut built = programs.iter().chain(&examples).map(|built| &built.file);
        built.find(|file| file.ends_with(name)).cloned().with_context(|| format!("{name} was not built"))
    };
    let (program, dll, suite) = (find("hnsproxy.exe")?, find("hcn_emulator_dll.dll")?, find("conformance.exe")?);
    let prefix = Prefix::own()?;
    for name in DLLS {
        prefix.install_as(&dll, name)?;
    }
    run_command(Command::new("cargo").args(["build", "--package", "hnsproxy"]).current_dir(system::root()?))?;
    let here = system::target()?.join("debug/hnsproxy");

    let mut failed = Vec::new();
    let mut passed = 0;
    let mut note = |name: String, result: Result<()>| match result {
        Ok(()) => {
            passed += 1;
            say(format_args!("ok      {name}"));
        }
        Err(error) => {
            say(format_args!("FAILED  {name}: {error:#}"));
            failed.push(name);
        }
    };
    let recordings = system::root()?.join("crates/hnsproxy/tests/recordings");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(&recordings)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    folders.sort();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let recording = Recording::read(&folder)?;
        note(format!("recording {name} through the DLLs"), equal(&recording, &here, &program, &prefix));
        note(format!("recording {name}, killed in the middle"), killed(&recording, &here, &program, &prefix));
    }
    for build in ["latest", "server2022", "server2019"] {
        let case = || {
            let build: Build = build.parse().map_err(anyhow::Error::msg)?;
            let hns = Hns::new(Emulator::new(build), &Host::default())?;
            let text = output(hns.tell(prefix.command().arg(&suite)))?;
            ensure!(text.contains(" 0 failed"), "{text}");
            Ok(())
        };
        note(format!("conformance of {build} through the DLLs"), case());
    }
    say(format_args!("{passed} passed, {} failed", failed.len()));
    ensure!(failed.is_empty(), "{}", failed.join(", "));
    Ok(ExitCode::SUCCESS)
}

/// An emulated HNS with its service.
struct Hns {
    emulator: Arc<Emulator>,
    service: Running,
}

impl Hns {
    fn new(emulator: Emulator, facts: &Host) -> Result<Self> {
        let emulator = Arc::new(emulator);
        let service = Service::bind("127.0.0.1:0", emulator.clone())?.with_facts(facts).spawn()?;
        Ok(Self { emulator, service })
    }

    /// Tells a command where the service is.
    fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("HNS_EMULATOR", self.service.address().to_string())
    }

    /// Each call so far, with its result.
    fn journal(&self) -> Vec<String> {
        self.emulator.journal().into_iter().map(|entry| format!("{} {:?}", entry.function, entry.code)).collect()
    }
}

/// What one run held in the end, and its last count of calls.
#[derive(Debug, PartialEq)]
struct Held {
    endpoints: Value,
    load_balancers: Value,
    count: String,
}

fn held(command: &mut Command) -> Result<Held> {
    let result = command.stdin(Stdio::null()).output()?;
    let log = String::from_utf8_lossy(&result.stderr).into_owned();
    ensure!(result.status.success(), "{}: {log}", result.status);
    let document: Value = serde_json::from_slice(&result.stdout).with_context(|| log.clone())?;
    let list = |name: &str| document.get(name).cloned().unwrap_or_default();
    let count = log.lines().rev().find_map(|line| line.split("converged: ").nth(1)).unwrap_or_default();
    Ok(Held { endpoints: list("endpoints"), load_balancers: list("loadBalancers"), count: count.trim_end().to_owned() })
}

/// A recording, and how to program it.
struct Recording {
    cluster: PathBuf,
    host: Host,
    flags: Vec<String>,
}

impl Recording {
    fn read(folder: &Path) -> Result<Self> {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).with_context(|| name.to_owned());
        let host: Host = serde_json::from_str(&read("host.json")?)?;
        let recorded: Value = serde_json::from_str(&read("hns.json")?)?;
        let note = recorded.get("note").and_then(Value::as_str).unwrap_or_default();
        let mut flags: Vec<String> = ["run", "--once", "-o=json", "--network-name=cbr0"].map(str::to_owned).into();
        flags.extend(note.split_whitespace().filter(|word| word.starts_with("--")).map(str::to_owned));
        flags.push(format!("--hostname-override={}", host.node));
        flags.extend(host.host_mac.iter().map(|mac| format!("--node-mac={mac}")));
        flags.extend(host.node_ips.iter().map(|ip| format!("--node-ip={ip}")));
        Ok(Self { cluster: folder.join("cluster.json"), host, flags })
    }

    fn hns(&self) -> Result<Hns> {
        Hns::new(Emulator::from_host(&self.host)?, &self.host)
    }

    /// The program of this system, on an emulator's service.
    fn here(&self, program: &Path, hns: &Hns) -> Command {
        let mut command = Command::new(program);
        command.args(&self.flags).arg("--from").arg(&self.cluster);
        command.arg(format!("--hns=tcp://{}", hns.service.address()));
        command
    }

    /// The Windows program, on an emulator's service through the DLLs.
    fn through_dlls(&self, program: &Path, prefix: &Prefix, hns: &Hns) -> Command {
        let mut command = prefix.command();
        // Wine has this system's files on drive Z.
        command.arg(program).args(&self.flags).arg(format!("--from=Z:{}", self.cluster.display())).arg("--hns=windows");
        hns.tell(&mut command);
        command
    }
}

/// The same end by the same calls, and a second run that writes nothing.
fn equal(recording: &Recording, here: &Path, program: &Path, prefix: &Prefix) -> Result<()> {
    let (one, other) = (recording.hns()?, recording.hns()?);
    let expected = held(&mut recording.here(here, &one))?;
    let found = held(&mut recording.through_dlls(program, prefix, &other))?;
    ensure!(found == expected, "through the DLLs: {found:#?}\non this system: {expected:#?}");
    ensure!(one.journal() == other.journal(), "the calls differ");
    let second = held(&mut recording.through_dlls(program, prefix, &other))?;
    ensure!(second.count.ends_with(" 0 writes"), "a second run: {}", second.count);
    ensure!(second.load_balancers == expected.load_balancers, "a second run changes load balancers");
    Ok(())
}

/// Killed in the middle of programming and started again, the program ends the same.
fn killed(recording: &Recording, here: &Path, program: &Path, prefix: &Prefix) -> Result<()> {
    let (one, other) = (recording.hns()?, recording.hns()?);
    let expected = held(&mut recording.here(here, &one))?;
    let all = one.emulator.writes();
    for part in 1..4 {
        // Slow enough to be met in the middle, on any machine.
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
