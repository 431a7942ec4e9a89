//! Converges, and shows what HNS then holds. What failed is shown too, before the error.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use hcn::Counts;
use proxy::Next;
use tracing::info;

use super::Event;
use crate::cli::{OutputForm, RunArgs};
use crate::commands::{read_cluster, report};
use crate::config::Config;
use crate::environment::resolve;
use crate::error::CommandError;
use crate::hns::Hns;
use crate::shutdown::Shutdown;
use crate::sync::Session;
use crate::{output, view};

/// How long it is tried again what fails: HNS refuses for seconds at most while the CNI works.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn main(
    args: &RunArgs,
    config: &Config,
    hns: &Hns,
    shutdown: &Shutdown,
    events: &Receiver<Event>,
) -> Result<(), CommandError> {
    let catalog = read_cluster(&args.proxy, config, hns, shutdown)?;
    let (settings, host) = resolve(config, &args.proxy, hns, &catalog)?;
    let mut session = Session::new(hns, settings, host, args.hns_concurrency);
    info!("{}", session.note());
    session.load(&catalog);
    session.observe()?;
    session.tell_of_host();
    let converged = converge(&mut session, |time| !matches!(events.recv_timeout(time), Ok(Event::Shutdown)));
    let snapshot = view::read(&*hns.hcn(), session.client(), session.note())?;
    match args.proxy.output.output {
        OutputForm::Table => output::text(&view::table(&snapshot, &session.frontends()))?,
        OutputForm::Json => output::json(&snapshot)?,
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
    Err(CommandError::NotInSync(format!("{calls} native calls, {writes} writes; the log names what failed")))
}
