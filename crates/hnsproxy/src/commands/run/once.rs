//! Converges, and shows what HNS then holds. What failed is shown too, before the error.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use hcn::Counts;
use proxy::Next;
use serde::Serialize;
use tracing::info;

use super::Event;
use crate::cli::{OutputForm, RunArgs, resolve};
use crate::commands::{CommandError, read_cluster, report};
use crate::config::Config;
use crate::end::End;
use crate::hns::Hns;
use crate::sync::Session;
use crate::view::Snapshot;
use crate::{output, view};

/// How long it is tried again what fails: HNS refuses for seconds at most while the CNI works.
const PATIENCE: Duration = Duration::from_secs(30);

/// What `run --once -o json` prints.
#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    snapshot: &'a Snapshot,
    calls: Calls,
}

/// The native calls of this process, without those that read the printed state.
#[derive(Serialize)]
struct Calls {
    native: u64,
    writes: u64,
}

impl From<Counts> for Calls {
    fn from(Counts { calls, writes }: Counts) -> Self {
        Self { native: calls, writes }
    }
}

pub(super) fn main(
    args: &RunArgs,
    config: &Config,
    hns: &Hns,
    end: &End,
    events: &Receiver<Event>,
) -> Result<(), CommandError> {
    let catalog = read_cluster(&args.proxy, config, hns, end)?;
    let (settings, host) = resolve(config, &args.proxy, hns, &catalog)?;
    let mut session = Session::new(hns, settings, host, args.hns_concurrency);
    info!("{}", session.note());
    session.load(&catalog);
    session.observe()?;
    session.tell_of_host();
    let converged = converge(&mut session, |time| !matches!(events.recv_timeout(time), Ok(Event::End)));
    let calls = session.counts();
    let snapshot = view::read(&*hns.hcn(), session.client(), session.note())?;
    match args.proxy.output.output {
        OutputForm::Table => output::text(&view::table(&snapshot, &session.frontends()))?,
        OutputForm::Json => output::json(&Outcome { snapshot: &snapshot, calls: calls.into() })?,
    }
    report(&catalog, &mut Vec::new());
    let Counts { calls, writes } = converged?;
    info!("converged: {calls} native calls, {writes} writes");
    Ok(())
}

/// Tries until HNS holds what it should, or patience ends, which begins when there is nothing more to do at once; answers how many calls
/// this process has made by then. `wait` is given how long to wait, and answers whether to go on.
///
/// # Errors
/// Where HNS does not hold what it should.
pub(in crate::commands) fn converge(
    session: &mut Session<'_>,
    wait: impl Fn(Duration) -> bool,
) -> Result<Counts, CommandError> {
    let (mut done, mut patience) = (0, PATIENCE);
    while let Next::At(time) = session.run() {
        let now = session.now();
        if time <= now && session.done() > done {
            (done, patience) = (session.done(), now + PATIENCE);
        }
        if session.is_converged() || time > patience || !wait(time.saturating_sub(now)) {
            break;
        }
    }
    let counts = session.counts();
    if session.is_converged() {
        return Ok(counts);
    }
    let Counts { calls, writes } = counts;
    Err(CommandError::NotConverged(format!("{calls} native calls, {writes} writes; the log names what failed")))
}
