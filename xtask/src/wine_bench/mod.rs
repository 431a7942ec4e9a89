//! Tests the Windows program under Wine: `hnsproxy.exe` calls the emulator's DLLs, which send each call to an emulated HNS.
//!
//! Cases:
//! - the program is one file without dependencies and without the emulator;
//! - each recording has the same result as with the program of this system, by the same calls in the same order, and a second run writes
//!   nothing; the result is also the same after the program was killed in the middle, and with an API server over HTTP and HTTPS;
//! - changes are programmed after an outage of the API server, and after a new token;
//! - health checks, metrics, and changes of the configuration file;
//! - probing HNS, with and without writes;
//! - installing, running, stopping and uninstalling the service;
//! - replacing the program of kube-proxy's service, and going back, also after a failed start and a killed process;
//! - the conformance suite as a Windows program;
//! - the examples of the crate `hcn`;
//! - the DLLs with many threads, large documents, notifications and many calls.
//!
//! This does not test the real HNS.

mod examples;
mod file;
mod pages;
mod probe;
mod program;
mod recording;
mod replacement;
mod served;
mod service;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hcn::{Guid, Kind};
use hcn_emulator::service::Running;
use hcn_emulator::{Build, Emulator, Host, Service};
use serde_json::json;

use crate::process::{cargo, output, run as run_command, say};
use crate::wine::Prefix;
use crate::{folder, windows};
use pages::Edit;
use recording::{Recording, equal, killed};
use served::Access;

/// The names of the Windows DLLs that the emulator's DLL replaces.
const DLLS: [&str; 2] = ["computenetwork.dll", "vmcompute.dll"];

/// Programs built for Windows, and a prefix with the DLLs.
pub(crate) struct Rig {
    programs: Vec<windows::Built>,
    pub(crate) prefix: Prefix,
}

impl Rig {
    /// Builds the release and prepares Wine.
    pub(crate) fn ready() -> Result<Self> {
        let packages = ["hnsproxy", "hcn", "hcn-emulator", "hcn-emulator-dll"];
        let programs = windows::build(&windows::Arguments::release_of(&packages).with_examples())?;
        Ok(Self { prefix: prefix_with(&programs)?, programs })
    }

    /// The path of a program or DLL.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf> {
        program(&self.programs, name)
    }
}

/// A prefix with the DLLs, for programs that exist.
pub(crate) fn prefix() -> Result<Prefix> {
    prefix_with(&windows::build(&windows::Arguments::release_of(&["hcn-emulator-dll"]))?)
}

fn prefix_with(programs: &[windows::Built]) -> Result<Prefix> {
    let (prefix, dll) = (Prefix::own()?, program(programs, "hcn_emulator_dll.dll")?);
    for name in DLLS {
        prefix.install_as(&dll, name)?;
    }
    Ok(prefix)
}

fn program(programs: &[windows::Built], name: &str) -> Result<PathBuf> {
    let mut built = programs.iter().map(|built| &built.file);
    built.find(|file| file.ends_with(name)).cloned().with_context(|| format!("{name} was not built"))
}

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Only cases whose name contains this text
    #[arg(value_name = "TEXT", default_value = "")]
    only: String,
}

/// Runs cases, and prints the result of each when it ends.
struct Cases {
    only: String,
    passed: usize,
    failed: Vec<String>,
}

impl Cases {
    fn run(&mut self, name: impl Into<String>, case: impl FnOnce() -> Result<()>) {
        let name = name.into();
        if !name.contains(&self.only) {
            return;
        }
        match case() {
            Ok(()) => {
                self.passed += 1;
                say(format_args!("ok      {name}"));
            }
            Err(error) => {
                say(format_args!("FAILED  {name}: {error:#}"));
                self.failed.push(name);
            }
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let rig = Rig::ready()?;
    let (program, prefix) = (rig.program("hnsproxy.exe")?, &rig.prefix);
    run_command(cargo()?.args(["build", "--package", "hnsproxy"]))?;
    let here = folder::target()?.join("debug/hnsproxy");
    service::clear(prefix, &program.to_string_lossy());

    let mut cases = Cases { only: arguments.only.clone(), passed: 0, failed: Vec::new() };
    cases.run("hnsproxy.exe is one small file", || program::is_one_small_file(&program));
    cases.run("hnsproxy.exe has no emulator", || program::has_no_emulator(&program, prefix));
    let recordings = folder::root()?.join("crates/hnsproxy/tests/recordings");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(&recordings)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    folders.sort();
    for folder in &folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let one = Recording::read(folder)?;
        cases.run(format!("recording {name} through the DLLs"), || equal(&one, &here, &program, prefix));
        cases.run(format!("recording {name}, killed in the middle"), || killed(&one, &here, &program, prefix));
        for access in [Access::Master, Access::Token, Access::Certificate, Access::ServiceAccount] {
            let name = format!("recording {name} from an API server, by {access}");
            cases.run(name, || served::equal(&one, access, &here, &program, prefix));
        }
        let name = format!("recording {name}, with an outage of the API server");
        cases.run(name, || served::follows(&one, &here, &program, prefix));
    }
    if let Some(folder) = folders.first() {
        let one = Recording::read(folder)?;
        cases.run("a token that is replaced in its file", || served::reads_token_again(&one, &program, prefix));
        cases.run("health checks, readiness and metrics", || pages::answer(&one, &program, prefix));
        for (how, edit) in [("rewritten", Edit::Rewritten), ("replaced", Edit::Replaced)] {
            let name = format!("a configuration file that is {how}");
            cases.run(name, || pages::follow(&one, edit, &program, prefix));
        }
        // Each build at another write: under Wine, all writes of all builds take too long.
        for (build, killed_at) in Build::names().zip(1..) {
            cases.run(format!("probe of {build}, killed at write {killed_at}"), || {
                let build: Build = build.parse().map_err(anyhow::Error::msg)?;
                probe::leaves_nothing(&one, &build, killed_at, &here, &program, prefix)
            });
        }
        cases.run("hcn examples", || examples::run(&one, &rig));
        cases.run("hnsproxy.exe as a service", || service::runs(&one, &here, &program, prefix));
        cases.run("hnsproxy.exe in the place of kube-proxy", || replacement::runs(&one, &program, prefix));
    }
    for build in ["latest", "server2022", "server2019"] {
        cases.run(format!("conformance of {build} through the DLLs"), || {
            let build: Build = build.parse().map_err(anyhow::Error::msg)?;
            let hns = Hns::new(Emulator::new(build), &Host::default())?;
            // Its exit code is 1 if a case failed.
            output(hns.set_address(prefix.command().arg(rig.program("conformance.exe")?)))?;
            Ok(())
        });
    }
    cases.run("the DLLs under load", || load(&rig));
    let Cases { passed, failed, .. } = cases;
    say(format_args!("{passed} passed, {} failed", failed.len()));
    ensure!(failed.is_empty(), "{}", failed.join(", "));
    ensure!(passed > 0, "no case with {:?} in its name", arguments.only);
    Ok(ExitCode::SUCCESS)
}

/// Many threads, large documents, notifications and many calls.
fn load(rig: &Rig) -> Result<()> {
    let emulator = Emulator::new("latest".parse().map_err(anyhow::Error::msg)?);
    let network = Guid::new_v4();
    emulator.add(
        Kind::Network,
        json!({
            "ID": network, "Name": "large", "Type": "L2Bridge",
            "Ipams": [{"Type": "Static", "Subnets": [{"IpAddressPrefix": "10.0.0.0/8"}]}],
        }),
    );
    for number in 0..10_000_u32 {
        let ip = std::net::Ipv4Addr::from_bits(0x0a01_0000 + number);
        let configurations = json!([{"IpAddress": ip.to_string(), "PrefixLength": 8}]);
        let document = json!({"HostComputeNetwork": network, "IpConfigurations": configurations, "Flags": 1});
        emulator.add(Kind::Endpoint, document);
    }
    let hns = Hns::new(emulator, &Host::default())?;
    let text = output(hns.set_address(rig.prefix.command().arg(rig.program("checks.exe")?)))?;
    text.lines().for_each(|line| say(format_args!("        {line}")));
    Ok(())
}

/// An emulated HNS with its service.
pub(crate) struct Hns {
    emulator: Arc<Emulator>,
    service: Running,
}

impl Hns {
    pub(crate) fn new(emulator: Emulator, facts: &Host) -> Result<Self> {
        let emulator = Arc::new(emulator);
        let service = Service::bind("127.0.0.1:0", emulator.clone())?.with_facts(facts).spawn()?;
        Ok(Self { emulator, service })
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.service.address()
    }

    /// Sets the address of the service in the environment of a command.
    pub(crate) fn set_address<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("HNS_EMULATOR", self.service.address().to_string())
    }

    /// All calls with their results.
    fn journal(&self) -> Vec<String> {
        self.emulator.journal().into_iter().map(|entry| format!("{} {:?}", entry.function, entry.code)).collect()
    }
}
