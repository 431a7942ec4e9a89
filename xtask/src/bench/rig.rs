//! The setup of a benchmark: the release build of hnsproxy in a process of its own, with an API server and an emulated HNS in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hcn::{Guid, Kind};
use hcn_emulator::{Emulator, Host, testing};
use serde_json::Value;
use test_api_server::ApiServer;

use super::cluster::NODE;
use crate::folder;
use crate::http::{free_addresses, get};
use crate::process::{Guarded, cargo, memory, run};
use crate::wine::Prefix;
use crate::wine_bench::{self, Hns};

/// The longest wait.
const BOUND: Duration = Duration::from_secs(300);
/// How long no write may occur before programming counts as complete.
const QUIET: Duration = Duration::from_millis(300);

/// The interval between checks whether HNS is in sync: short compared with the measured times, and long enough not to slow the program
/// down.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

pub(super) const NETWORK: Guid = testing::NETWORKS[0];

pub(super) struct Rig {
    pub(super) hns: Hns,
    pub(super) api: ApiServer,
    program: Program,
    flags: Vec<String>,
    running: Option<Guarded>,
}

enum Program {
    /// The program of this system, with HNS over TCP.
    Here(PathBuf),
    /// The Windows program, with HNS through the DLLs.
    Wine { prefix: Prefix, exe: PathBuf },
}

impl Rig {
    /// Builds the program, and prepares an HNS of a version and an API server with these objects.
    pub(super) fn new(hns_version: &str, objects: Vec<Value>, flags: &[&str]) -> Result<Self> {
        run(cargo()?.args(["build", "--release", "--package", "hnsproxy"]))?;
        let program = Program::Here(folder::target()?.join("release/hnsproxy"));
        Self::with(program, hns_version, objects, flags)
    }

    /// As [`Self::new`], with the Windows program.
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

    /// Starts the program, waits until HNS is in sync, and returns how long that took. A running program is killed first, as by a
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
            Program::Wine { .. } => self.hns.set_address(&mut command),
        };
        command.args(&self.flags);
        let begun = Instant::now();
        self.running = Some(Guarded::start(&mut command)?);
        self.wait_until_in_sync(metrics)?;
        Ok(begun.elapsed())
    }

    /// Waits until `/readyz` reports that HNS is in sync.
    fn wait_until_in_sync(&mut self, metrics: SocketAddr) -> Result<()> {
        let program = self.running.as_mut().context("the program is not running")?;
        let start = Instant::now();
        loop {
            let page = get(metrics, "/readyz");
            if page.as_ref().is_some_and(|page| page.code == 200) {
                return Ok(());
            }
            if let Some(status) = program.0.try_wait()? {
                bail!("the program ended before HNS was in sync: {status}");
            }
            ensure!(start.elapsed() < BOUND, "HNS is not in sync after {BOUND:?}; last answer: {page:#?}");
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn running(&self) -> Result<&Guarded> {
        self.running.as_ref().context("the program is not running")
    }

    /// Waits until no write occurs for [`QUIET`].
    pub(super) fn settle(&self) -> Result<()> {
        let begun = Instant::now();
        let mut writes = self.emulator().writes();
        loop {
            ensure!(begun.elapsed() < BOUND, "timeout waiting for the end of writes");
            std::thread::sleep(QUIET);
            let now = self.emulator().writes();
            if now == writes {
                return Ok(());
            }
            writes = now;
        }
    }

    /// Waits until a condition holds, which is checked every millisecond.
    pub(super) fn until(&self, what: &str, is_so: impl Fn() -> bool) -> Result<()> {
        let begun = Instant::now();
        while !is_so() {
            ensure!(begun.elapsed() < BOUND, "timeout waiting for {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Resident memory of the program and its peak, in MB.
    pub(super) fn memory(&self) -> Result<[f64; 2]> {
        memory(self.running()?.0.id())
    }

    /// CPU time of the program in seconds. /proc has ticks of 10 ms.
    pub(super) fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.running()?.0.id()))?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("/proc/PID/stat")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    /// The number of load balancers.
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
