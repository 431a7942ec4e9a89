//! Shows the Windows program at work: `hnsproxy.exe` under Wine, which calls the stand-in DLLs, which carry each call to an emulated HNS.
//!
//! What is shown: every recording, programmed through the DLLs, ends as it does in one process on this system, with as many native
//! calls, and a second run writes nothing; and the conformance suite passes as a Windows program. Nothing here is the real HNS.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process::{output, run as run_command, say};
use crate::wine::Prefix;
use crate::{system, windows};

/// The names under which Windows has what the stand-in DLL does.
const DLLS: [&str; 2] = ["computenetwork.dll", "vmcompute.dll"];

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
        note(format!("recording {name} through the DLLs"), recording(&folder, &here, &program, &prefix));
    }
    for build in ["latest", "server2022", "server2019"] {
        let case = || {
            let service = Service::start(&here, &["--build", build])?;
            let text = output(service.tell(prefix.command().arg(&suite)))?;
            ensure!(text.contains(" 0 failed"), "{text}");
            Ok(())
        };
        note(format!("conformance of {build} through the DLLs"), case());
    }
    say(format_args!("{passed} passed, {} failed", failed.len()));
    ensure!(failed.is_empty(), "{}", failed.join(", "));
    Ok(ExitCode::SUCCESS)
}

/// `hnsproxy emulator` as a process, which ends with this value.
struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["emulator", "--listen", "127.0.0.1:0"]).args(arguments).stderr(Stdio::piped());
        let mut child = command.spawn().context("the emulator does not start")?;
        let mut log = BufReader::new(child.stderr.take().context("the emulator has no log")?);
        let mut line = String::new();
        log.read_line(&mut line)?;
        let address = line.split(" at ").nth(1).and_then(|rest| rest.split(';').next());
        let Some(address) = address.map(str::to_owned) else {
            let _ = child.kill();
            let _ = child.wait();
            bail!("the emulator says no address: {line}");
        };
        // What it says later is nobody's concern, but must go somewhere.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Ok(Self { child, address })
    }

    /// Tells a command where the service is.
    fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("HNS_EMULATOR", &self.address)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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

fn recording(folder: &Path, here: &Path, program: &Path, prefix: &Prefix) -> Result<()> {
    let read =
        |name: &str| -> Result<Value> { Ok(serde_json::from_str(&std::fs::read_to_string(folder.join(name))?)?) };
    let (recorded, host) = (read("hns.json")?, read("host.json")?);
    let note = recorded.get("note").and_then(Value::as_str).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut flags: Vec<String> = ["run", "--once", "-o=json", "--network-name=cbr0"].map(str::to_owned).into();
    flags.extend(note.split_whitespace().filter(|word| word.starts_with("--")).map(str::to_owned));
    flags.extend(host.get("node").and_then(text).map(|node| format!("--hostname-override={node}")));
    flags.extend(host.get("hostMac").and_then(text).map(|mac| format!("--node-mac={mac}")));
    let ips = host.get("nodeIPs").and_then(Value::as_array).into_iter().flatten();
    flags.extend(ips.filter_map(text).map(|ip| format!("--node-ip={ip}")));

    let (cluster, host) = (folder.join("cluster.json"), folder.join("host.json"));
    let mut command = Command::new(here);
    command.args(&flags).arg("--from").arg(&cluster).arg(format!("--hns=emulated:{}", host.display()));
    let expected = held(&mut command)?;

    let service = Service::start(here, &["--host", &host.display().to_string()])?;
    let through_dlls = || {
        let mut command = prefix.command();
        // Wine has this system's files on drive Z.
        command.arg(program).args(&flags).arg(format!("--from=Z:{}", cluster.display())).arg("--hns=windows");
        held(service.tell(&mut command))
    };
    let first = through_dlls()?;
    ensure!(first == expected, "through the DLLs: {first:#?}\nin one process: {expected:#?}");
    let second = through_dlls()?;
    ensure!(second.count.ends_with(" 0 writes"), "a second run: {}", second.count);
    ensure!(second.load_balancers == expected.load_balancers, "a second run changes load balancers");
    Ok(())
}
