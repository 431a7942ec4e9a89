//! Records what a Service proxy changes in an emulated HNS during each timeline of `vswitch-lab`, in real time: for the comparison of
//! connections.
//!
//! The proxy is hnsproxy or kube-proxy, for this system or for Windows, which runs under Wine with the emulator's DLLs.

mod objects;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hcn::{Guid, Kind};
use hcn_emulator::recording::{Header, Writer};
use vswitch_lab::timeline::{self, Action, Event, Service, Timeline};

use crate::cluster;
use crate::process::say;
use crate::rig::{NETWORK, Program, Rig};

/// More than all changes of a timeline.
const CAPACITY: usize = 1 << 20;
/// An event that is later than this makes a recording useless.
const MAX_LATENESS: Duration = Duration::from_millis(20);
/// kube-proxy syncs again up to a second after its first sync. After this time, a timeline can begin.
const QUIET: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// hnsproxy or kube-proxy; a program whose name ends in .exe runs under Wine
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// The name and version of the program, for the first line of each recording
    #[arg(long, value_name = "TEXT")]
    about: String,
    /// Where the recordings are written
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,
    /// Only timelines whose name contains this text
    #[arg(value_name = "TEXT", default_value = "")]
    only: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Arguments { program, about, output, only } = arguments;
    std::fs::create_dir_all(output)?;
    let program = Program::at(program)?;
    for timeline in timeline::all().iter().filter(|timeline| timeline.name.contains(only.as_str())) {
        say(format_args!("{}", timeline.name));
        let path = output.join(timeline.file_name());
        record(timeline, &program, about, &path).with_context(|| format!("timeline {}", timeline.name))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn record(timeline: &Timeline, program: &Program, about: &str, path: &Path) -> Result<()> {
    let services = timeline.services.iter().flat_map(objects::of);
    let objects = std::iter::once(cluster::node()).chain(services).collect();
    let mut world = World::new(timeline, Rig::with(program.clone(), timeline.hns_version, objects, &[])?);
    world.rig.launch()?;
    let frontends: usize = timeline.services.iter().map(Service::frontends).sum();
    world.rig.wait_for_frontends(frontends)?;
    std::thread::sleep(QUIET);
    world.rig.settle()?;
    ensure!(world.rig.frontends() == frontends, "the number of load balancers changed after the start");

    let emulator = world.rig.emulator();
    let header =
        Header::new(format!("{about}: {}", timeline.name), &emulator.to_host(&crate::rig::host(timeline.hns_version)));
    emulator.reset_journal();
    let feed = emulator.follow(CAPACITY);
    let begun = Instant::now();
    for Event { at, action } in &timeline.events {
        let late = sleep_until(begun, *at);
        ensure!(
            late < MAX_LATENESS,
            "an event was {late:?} late: this computer is too busy; retry without other programs"
        );
        world.act(action)?;
    }
    sleep_until(begun, timeline.end);
    feed.closer().close();
    let emulator = world.rig.emulator();
    say(format_args!("  {} native calls, {} writes", emulator.native_calls(), emulator.writes()));
    let fails = timeline.events.iter().any(|event| matches!(event.action, Action::FailNetworkList));
    ensure!(!fails || timeline::has_failed_network_list(emulator), "no list of networks has failed");
    Ok(Writer::create(path, &header)?.record(&feed)?)
}

/// Sleeps until a time of a timeline, and returns how late it is then.
fn sleep_until(begun: Instant, at: Duration) -> Duration {
    std::thread::sleep(at.saturating_sub(begun.elapsed()));
    begun.elapsed().saturating_sub(at)
}

/// The cluster and the node.
struct World {
    rig: Rig,
    services: Vec<Service>,
    pods: BTreeMap<IpAddr, Guid>,
}

impl World {
    fn new(timeline: &Timeline, rig: Rig) -> Self {
        let emulator = rig.emulator();
        timeline::delay_calls(emulator);
        let pod = |address| (address, emulator.add_local_endpoint(NETWORK, "pod", &[address]));
        let pods = timeline.local_pods().map(pod).collect();
        Self { services: timeline.services.clone(), pods, rig }
    }

    fn act(&mut self, action: &Action) -> Result<()> {
        let emulator = self.rig.emulator();
        match action {
            Action::Change(service) => self.change(service)?,
            Action::StopProxy => self.rig.kill(),
            Action::StartProxy => self.rig.launch()?,
            Action::StopHns(lost) => emulator.stop(lost),
            Action::StartHns => emulator.start(),
            Action::DeleteLoadBalancers => timeline::delete_load_balancers(emulator),
            Action::FailNetworkList => timeline::fail_network_list(emulator),
            Action::RemovePod(address) => {
                let pod = self.pods.get(address).with_context(|| format!("unknown pod {address}"))?;
                emulator.remove(Kind::Endpoint, *pod);
            }
        }
        Ok(())
    }

    /// Puts the objects that differ.
    fn change(&mut self, service: &Service) -> Result<()> {
        let known = self.services.iter_mut().find(|known| known.name == service.name);
        let known = known.with_context(|| format!("unknown Service {}", service.name))?;
        let before = objects::of(&std::mem::replace(known, service.clone()));
        for (before, after) in before.into_iter().zip(objects::of(service)) {
            if after != before {
                self.rig.api.put(after)?;
            }
        }
        Ok(())
    }
}
