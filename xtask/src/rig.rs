//! A Service proxy in a process of its own, hnsproxy in most cases, with an API server and an emulated HNS in this process: for benchmarks and the soak test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hcn::{Guid, Kind};
use hcn_emulator::{Emulator, Host, testing};
use serde_json::Value;
use test_api_server::ApiServer;

use crate::cluster::NODE;
use crate::folder;
use crate::http::{Page, free_addresses, get};
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

pub(crate) const NETWORK: Guid = testing::NETWORKS[0];

pub(crate) struct Rig {
    pub(crate) hns: Hns,
    pub(crate) api: ApiServer,
    program: Program,
    flags: Vec<String>,
    running: Option<Running>,
}

struct Running {
    program: Guarded,
    /// The address of `/readyz`.
    metrics: SocketAddr,
}

/// How cargo builds the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Release,
    Debug,
}

#[derive(Debug, Clone)]
pub(crate) enum Program {
    /// The program of this system, with HNS over TCP.
    Here(PathBuf),
    /// The Windows program, with HNS through the DLLs.
    Wine { prefix: Prefix, exe: PathBuf },
}

impl Program {
    /// A Service proxy at a path: a Windows program if its name ends in `.exe`.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path)?;
        ensure!(path.is_file(), "{} not found", path.display());
        let is_windows = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("exe"));
        Ok(if is_windows { Self::Wine { prefix: wine_bench::prefix()?, exe: path } } else { Self::Here(path) })
    }
}

impl Rig {
    /// Builds the program, and prepares an HNS of a version and an API server with these objects.
    pub(crate) fn new(hns_version: &str, objects: Vec<Value>, flags: &[&str]) -> Result<Self> {
        Self::of_profile(Profile::Release, hns_version, objects, flags)
    }

    /// As [`Self::new`], with a profile of cargo.
    pub(crate) fn of_profile(profile: Profile, hns_version: &str, objects: Vec<Value>, flags: &[&str]) -> Result<Self> {
        let (name, folder) = match profile {
            Profile::Release => ("release", "release"),
            Profile::Debug => ("dev", "debug"),
        };
        run(cargo()?.args(["build", "--profile", name, "--package", "hnsproxy"]))?;
        let program = Program::Here(folder::target()?.join(folder).join("hnsproxy"));
        Self::with(program, hns_version, objects, flags)
    }

    /// As [`Self::new`], with the Windows program.
    pub(crate) fn under_wine(
        rig: &wine_bench::Rig,
        hns_version: &str,
        objects: Vec<Value>,
        flags: &[&str],
    ) -> Result<Self> {
        let program = Program::Wine { prefix: rig.prefix.clone(), exe: rig.program("hnsproxy.exe")? };
        Self::with(program, hns_version, objects, flags)
    }

    /// As [`Self::new`], with a program that exists.
    pub(crate) fn with(program: Program, hns_version: &str, objects: Vec<Value>, flags: &[&str]) -> Result<Self> {
        let host = host(hns_version);
        let hns = Hns::new(Emulator::from_host(&host)?, &host)?;
        let api = ApiServer::start()?;
        api.load(Value::Array(objects))?;
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Ok(Self { hns, api, program, flags, running: None })
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        self.hns.emulator()
    }

    /// Starts the program, waits until HNS is in sync, and returns how long that took. A running program is killed first, as by a
    /// crash.
    pub(crate) fn start(&mut self) -> Result<Duration> {
        self.kill();
        let begun = Instant::now();
        self.launch()?;
        self.wait_until_in_sync()?;
        Ok(begun.elapsed())
    }

    /// As [`Self::start`], without waiting.
    pub(crate) fn launch(&mut self) -> Result<()> {
        self.kill();
        let [health, metrics] = free_addresses()?;
        let mut command = self.command(&[]);
        command.args([format!("--healthz-bind-address={health}"), format!("--metrics-bind-address={metrics}")]);
        command.args(&self.flags);
        self.running = Some(Running { program: Guarded::start(&mut command)?, metrics });
        Ok(())
    }

    /// Ends the program at once, as by a crash.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// The program with first arguments, and the flags that name the API server, HNS and the node.
    fn command(&self, first: &[&str]) -> Command {
        let mut command = match &self.program {
            Program::Here(program) => Command::new(program),
            Program::Wine { prefix, exe } => {
                let mut command = prefix.command();
                command.arg(exe);
                command
            }
        };
        command.args(first).args(["--network-name=cbr0", "--enable-dsr"]);
        command.arg(format!("--hostname-override={NODE}")).arg(format!("--master={}", self.api.url()));
        match &self.program {
            Program::Here(_) => command.arg(format!("--hns=tcp://{}", self.hns.address())),
            Program::Wine { .. } => self.hns.set_address(&mut command),
        };
        command
    }

    /// Waits until `/readyz` reports that HNS is in sync.
    fn wait_until_in_sync(&mut self) -> Result<()> {
        let Running { program, metrics } = self.running.as_mut().context("the program is not running")?;
        let start = Instant::now();
        loop {
            let page = get(*metrics, "/readyz");
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

    fn running(&self) -> Result<&Running> {
        self.running.as_ref().context("the program is not running")
    }

    /// The address of `/readyz` and other pages for operators.
    pub(crate) fn metrics_address(&self) -> Result<SocketAddr> {
        Ok(self.running()?.metrics)
    }

    /// The process id of the program.
    fn process(&self) -> Result<u32> {
        Ok(self.running()?.program.0.id())
    }

    /// The answer of `/readyz`; `None` without one.
    pub(crate) fn readyz(&self) -> Result<Option<Page>> {
        Ok(get(self.running()?.metrics, "/readyz"))
    }

    /// Fails if the program has ended.
    pub(crate) fn ensure_running(&mut self) -> Result<()> {
        let Running { program, .. } = self.running.as_mut().context("the program is not running")?;
        match program.0.try_wait()? {
            Some(status) => bail!("the program ended: {status}"),
            None => Ok(()),
        }
    }

    /// Requests the shutdown of the program, and returns how long it took. A program that exceeds the limit is killed.
    pub(crate) fn shut_down(&mut self, limit: Duration) -> Result<Duration> {
        let Running { mut program, .. } = self.running.take().context("the program is not running")?;
        let begun = Instant::now();
        run(Command::new("kill").args(["-s", "TERM", &program.0.id().to_string()]))?;
        while begun.elapsed() < limit {
            if let Some(status) = program.0.try_wait()? {
                ensure!(status.success(), "the program ended after SIGTERM with {status}");
                return Ok(begun.elapsed());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        bail!("the program did not end within {limit:?} after SIGTERM")
    }

    /// The output of `hnsproxy plan` for this API server and HNS.
    pub(crate) fn plan(&self) -> Result<Value> {
        let mut command = self.command(&["plan"]);
        let output = command.arg("--output=json").output().context("cannot run hnsproxy plan")?;
        // 0: in sync, 2: steps are necessary.
        let is_plan = matches!(output.status.code(), Some(0 | 2));
        ensure!(is_plan, "hnsproxy plan failed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
        serde_json::from_slice(&output.stdout).context("cannot parse the output of hnsproxy plan")
    }

    /// Waits until no write occurs for [`QUIET`].
    pub(crate) fn settle(&self) -> Result<()> {
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
    pub(crate) fn until(&self, what: &str, is_so: impl Fn() -> bool) -> Result<()> {
        let begun = Instant::now();
        while !is_so() {
            ensure!(begun.elapsed() < BOUND, "timeout waiting for {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Waits until HNS has this number of load balancers.
    pub(crate) fn wait_for_frontends(&mut self, number: usize) -> Result<()> {
        let emulator = self.hns.emulator();
        let Running { program, .. } = self.running.as_mut().context("the program is not running")?;
        program.until("load balancers", || emulator.documents(Kind::LoadBalancer).len() == number)
    }

    /// Resident memory of the program and its peak, in MB.
    pub(crate) fn memory(&self) -> Result<[f64; 2]> {
        memory(self.process()?)
    }

    /// The number of open file descriptors of the program.
    pub(crate) fn descriptors(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.process()?))?.count())
    }

    /// CPU time of the program in seconds. /proc has ticks of 10 ms.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process()?))?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("/proc/PID/stat")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    /// The number of load balancers.
    pub(crate) fn frontends(&self) -> usize {
        self.emulator().documents(Kind::LoadBalancer).len()
    }
}

/// A host with an L2Bridge network, and an IPv4 address alone: the clusters of benchmarks have one family.
pub(crate) fn host(hns_version: &str) -> Host {
    let node_ips = vec![[192, 168, 77, 1].into()];
    Host { node: NODE.to_owned(), node_ips, host_mac: None, ..testing::host(hns_version, &["L2Bridge"]) }
}

/// The median and the 99th percentile.
pub(crate) fn median_and_p99(mut figures: Vec<f64>) -> [f64; 2] {
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
