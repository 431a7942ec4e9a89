//! What is measured: the release build of hnsproxy in a process of its own, which watches an API server and programs an emulated HNS, both
//! in this process.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hcn::{Guid, Kind};
use hcn_emulator::{Emulator, Host, testing};
use serde_json::Value;
use test_api_server::ApiServer;

use super::cluster::NODE;
use crate::http::free_addresses;
use crate::process::{Guarded, cargo, memory, run};
use crate::system;
use crate::wine::Prefix;
use crate::wine_bench::{self, Hns};

/// Whatever is not so by then will not be so.
const BOUND: Duration = Duration::from_secs(300);
/// How long nothing may happen before it counts as the end of what happened.
const QUIET: Duration = Duration::from_millis(300);

pub(super) const NETWORK: Guid = testing::NETWORKS[0];

/// An HNS, an API server, and the program at work on both.
pub(super) struct Rig {
    pub(super) hns: Hns,
    pub(super) api: ApiServer,
    program: Program,
    flags: Vec<String>,
    running: Option<Running>,
}

/// What is run.
enum Program {
    /// The program of this system, which reaches HNS over TCP.
    Here(PathBuf),
    /// The one of Windows, which reaches it through the DLLs.
    Wine { prefix: Prefix, exe: PathBuf },
}

struct Running {
    process: Guarded,
    log: Receiver<String>,
}

impl Running {
    fn id(&self) -> u32 {
        self.process.0.id()
    }
}

impl Rig {
    /// Builds the program, and readies an HNS of a version and an API server with these objects.
    pub(super) fn new(hns_version: &str, objects: Vec<Value>, flags: &[&str]) -> Result<Self> {
        run(cargo()?.args(["build", "--release", "--package", "hnsproxy"]))?;
        let program = Program::Here(system::target()?.join("release/hnsproxy"));
        Self::with(program, hns_version, objects, flags)
    }

    /// The same with the program of Windows.
    pub(super) fn under_wine(
        rig: &wine_bench::Rig,
        hns_version: &str,
        objects: Vec<Value>,
        flags: &[&str],
    ) -> Result<Self> {
        let program = Program::Wine { prefix: rig.prefix.clone(), exe: rig.program("hnsproxy.exe")? };
        Self::with(program, hns_version, objects, flags)
    }

    fn with(program: Program, hns_version: &str, objects: Vec<Value>, flags: &[&str]) -> Result<Self> {
        let host = host(hns_version);
        let hns = Hns::new(Emulator::from_host(&host)?, &host)?;
        let api = ApiServer::start()?;
        api.load(Value::Array(objects))?;
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Ok(Self { hns, api, program, flags, running: None })
    }

    pub(super) fn emulator(&self) -> &Emulator {
        self.hns.emulator()
    }

    /// Starts the program, waits until HNS holds all that it should, and answers how long that took. One that runs ends before, as by a
    /// crash.
    pub(super) fn start(&mut self) -> Result<Duration> {
        self.running = None;
        let mut command = match &self.program {
            Program::Here(program) => Command::new(program),
            Program::Wine { prefix, exe } => {
                let mut command = prefix.command();
                command.arg(exe);
                command
            }
        };
        let [health, metrics] = free_addresses()?;
        command.args([
            "--network-name=cbr0",
            "--enable-dsr",
            &format!("--healthz-bind-address={health}"),
            &format!("--metrics-bind-address={metrics}"),
        ]);
        command.arg(format!("--hostname-override={NODE}")).arg(format!("--master={}", self.api.url()));
        match &self.program {
            Program::Here(_) => command.arg(format!("--hns=tcp://{}", self.hns.address())),
            Program::Wine { .. } => self.hns.tell(&mut command),
        };
        command.args(&self.flags);
        let begun = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut process = Guarded(child);
        let stderr = BufReader::new(process.0.stderr.take().context("no stderr")?);
        let (lines, log) = channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        self.running = Some(Running { process, log });
        self.wait_for("HNS holds all that it should")?;
        Ok(begun.elapsed())
    }

    fn running(&self) -> Result<&Running> {
        self.running.as_ref().context("the program does not run")
    }

    /// Waits for a line of the log.
    pub(super) fn wait_for(&self, text: &str) -> Result<()> {
        let running = self.running()?;
        let mut seen = Vec::new();
        loop {
            match running.log.recv_timeout(BOUND) {
                Ok(line) if line.contains(text) => return Ok(()),
                Ok(line) => seen.push(line),
                Err(RecvTimeoutError::Disconnected) => bail!("the program has ended:\n{}", seen.join("\n")),
                Err(RecvTimeoutError::Timeout) => bail!("{text:?} was not logged:\n{}", seen.join("\n")),
            }
        }
    }

    /// Waits until no write was asked for a while.
    pub(super) fn settle(&self) -> Result<()> {
        let begun = Instant::now();
        let mut writes = self.emulator().writes();
        loop {
            ensure!(begun.elapsed() < BOUND, "no end of writes");
            std::thread::sleep(QUIET);
            let now = self.emulator().writes();
            if now == writes {
                return Ok(());
            }
            writes = now;
        }
    }

    /// Waits until something is so, looking every millisecond.
    pub(super) fn until(&self, what: &str, is_so: impl Fn() -> bool) -> Result<()> {
        let begun = Instant::now();
        while !is_so() {
            ensure!(begun.elapsed() < BOUND, "{what}: not so");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Resident memory of the program and its peak, in MB.
    pub(super) fn memory(&self) -> Result<[f64; 2]> {
        memory(self.running()?.id())
    }

    /// CPU time that the program has used, in seconds: ticks of a hundredth.
    pub(super) fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.running()?.id()))?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("/proc/PID/stat")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    /// The load balancers on cluster addresses.
    pub(super) fn frontends(&self) -> usize {
        self.emulator().documents(Kind::LoadBalancer).len()
    }
}

/// A host with an L2Bridge network, and an IPv4 address alone: the clusters of benchmarks have one family.
fn host(hns_version: &str) -> Host {
    let node_ips = vec![[192, 168, 77, 1].into()];
    Host { node: NODE.to_owned(), node_ips, host_mac: None, ..testing::host(hns_version, &["L2Bridge"]) }
}

/// The median and the 99th percentile.
pub(super) fn median_and_p99(mut figures: Vec<f64>) -> [f64; 2] {
    figures.sort_by(f64::total_cmp);
    let at = |part: f64| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let index = ((figures.len() as f64 * part).ceil() as usize).saturating_sub(1);
        figures.get(index).copied().unwrap_or_default()
    };
    [at(0.5), at(0.99)]
}
