//! The soak test: hnsproxy in a process of its own, with an API server and an emulated HNS whose objects change and that fail, for a long
//! time.
//!
//! Once a second it measures memory, descriptors, latency and staleness. It fails if
//! - `/readyz` says 200 while HNS has differed from the API server for longer than `CHANGE_BOUND`, `OUTAGE_BOUND` during a
//!   reported outage of the API server, or `IN_PLACE_BOUND` for what another program changed in place;
//! - memory or descriptors grow after the warm-up ([`Resources`]);
//! - `/readyz` does not answer, or the program ends;
//! - HNS is not in sync when changes and faults have ended, by the own comparison, by `/readyz`, and by `hnsproxy plan`;
//! - the shutdown takes longer than [`SHUTDOWN_LIMIT`].
//!
//! The seed determines all changes and faults. Their interleaving with the program depends on time, so a failure may need several runs to
//! occur again.

mod churn;
mod cni;
mod expected;
mod faults;
mod observed;
mod rules;
mod run;
mod sample;
mod staleness;
mod state;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{print, say};
use crate::rig::{Profile, Rig};
use rules::Resources;
use run::Run;

/// How long the program may take for its shutdown.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long changes and faults go on; HNS has two minutes more to be in sync
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// The seed of changes and faults. Default: a random one, which is printed
    #[arg(long)]
    seed: Option<u64>,
    /// The number of Services
    #[arg(long, default_value_t = 500)]
    services: usize,
    /// The average number of changes per second
    #[arg(long, default_value_t = 5.0)]
    changes_per_second: f64,
    /// Write the figures of each second to this file, as CSV
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Build the debug profile
    #[arg(long)]
    debug: bool,
    /// Further flags of hnsproxy
    #[arg(last = true)]
    flags: Vec<String>,
}

impl Arguments {
    /// A run of seconds with the debug profile, which the tests have built: it shows that the soak test itself works.
    pub(crate) fn brief() -> Self {
        Self {
            minutes: 0.3,
            seed: Some(1),
            services: 100,
            changes_per_second: 10.0,
            output: None,
            debug: true,
            flags: Vec::new(),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let failures = failures(arguments)?;
    for failure in &failures {
        print(format_args!("FAILED  {failure}"))?;
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the test, prints its figures, and returns the rules that do not hold.
pub(crate) fn failures(arguments: &Arguments) -> Result<Vec<String>> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    say(format_args!("seed {seed}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let length = Duration::try_from_secs_f64(arguments.minutes * 60.0).context("invalid --minutes")?;
    let world = world::World::new(arguments.services.max(1), &mut random);
    let flags: Vec<&str> = arguments.flags.iter().map(String::as_str).collect();
    let profile = if arguments.debug { Profile::Debug } else { Profile::Release };
    let mut rig = Rig::of_profile(profile, "15.5", world.objects(), &flags)?;
    rig.start()?;
    let mut soak = Run::new(rig, world, &mut random, arguments.changes_per_second);
    let result = soak.run(length);
    if let Some(file) = &arguments.output {
        std::fs::write(file, sample::csv(soak.samples()))
            .with_context(|| format!("cannot write {}", file.display()))?;
        say(format_args!("written to {}", file.display()));
    }
    let resources = Resources::of(soak.samples());
    print(format_args!("{}", soak.summary(resources.as_ref())))?;
    result.with_context(|| format!("seed {seed}"))?;
    let mut failures = soak.failures().to_vec();
    failures.extend(resources.iter().flat_map(Resources::failures));
    Ok(failures)
}
