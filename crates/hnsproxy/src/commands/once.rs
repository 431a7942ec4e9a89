//! `run --once`: programs HNS until it is in sync, and shows its state. After a failure, too: the state is shown before the error.

use std::sync::Arc;
use std::time::Duration;

use cluster_source::kubernetes::{Problem, ProblemKind};
use hcn::Counts;
use proxy::Next;
use serde::Serialize;
use tracing::{info, warn};

use super::{log_catalog, read_cluster};
use crate::cli::RunArgs;
use crate::config::Config;
use crate::environment::resolve;
use crate::error::CommandError;
use crate::hns::Hns;
use crate::host_local::HostLocal;
use crate::session::Session;
use crate::shutdown::Shutdown;
use crate::view::Snapshot;
use crate::{output, view};

/// How long failed steps are retried: HNS refuses some for seconds while the CNI works.
const RETRY_LIMIT: Duration = Duration::from_secs(30);

/// What `run --once -o json` prints.
#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    snapshot: &'a Snapshot,
    calls: Calls,
    /// The parts of the input that were left out.
    problems: &'a [Problem],
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

pub(super) fn main(args: &RunArgs, config: &Config, hns: &Arc<Hns>, shutdown: &Shutdown) -> Result<(), CommandError> {
    let catalog = read_cluster(&args.proxy, config, hns, shutdown)?;
    let (settings, host) = resolve(config, &args.proxy, hns, &catalog)?;
    let host_local = HostLocal::new(args.proxy.host_local_dir.clone(), args.proxy.hns.choice());
    let mut session = Session::new(hns.clone(), settings, host, args.hns_concurrency).with_host_local(host_local);
    info!("{}", session.description());
    session.load(&catalog);
    session.audit()?;
    session.log_host_conditions();
    let synced = sync(&mut session, shutdown);
    // What HNS has cannot be read then.
    if session.is_stopped() {
        return synced.map(drop);
    }
    let calls = session.counts();
    let snapshot = view::read(&*hns.hcn(), session.client(), session.description())?;
    let outcome = Outcome { snapshot: &snapshot, calls: calls.into(), problems: &catalog.problems };
    output::print(args.proxy.output.output, &outcome, |layout| {
        view::table(&snapshot, Some(&session.frontends()), layout)
    })?;
    log_catalog(&catalog, session.node_name());
    let Counts { calls, writes } = synced?;
    // Manifests of applications have many objects of kinds that hnsproxy does not use.
    let is_missed = |problem: &&Problem| problem.kind != ProblemKind::UnknownKind;
    match catalog.problems.iter().filter(is_missed).count() {
        0 => info!(native_calls = calls, writes, "HNS in sync"),
        problems => warn!(native_calls = calls, writes, problems, "HNS in sync with the valid part of the input"),
    }
    Ok(())
}

/// Programs HNS until it is in sync, or for at most the retry limit after the last run that made progress. Returns
/// the native calls of the process.
///
/// # Errors
/// If HNS is not in sync at the end, or shutdown is requested first.
pub(super) fn sync(session: &mut Session, shutdown: &Shutdown) -> Result<Counts, CommandError> {
    let wait = shutdown.timer();
    let (mut done, mut limit) = (0, RETRY_LIMIT);
    let mut is_idle = false;
    // The cluster was read once, so no change can come.
    loop {
        let next = session.run(&|| false).next;
        let now = session.now();
        let time = match next {
            Next::At(time) => time,
            // Only a list shows whether HNS has an object whose creation failed and may have taken effect.
            Next::Idle if !is_idle => now,
            Next::Idle => break,
        };
        // A large start is programmed in several runs. The time that they take is not spent on retries.
        let continues = time <= now && session.steps_done() > done;
        if continues {
            (done, limit) = (session.steps_done(), now + RETRY_LIMIT);
        }
        if session.is_in_sync() || time > limit {
            break;
        }
        if session.is_stopped() || !wait(time.saturating_sub(now)) {
            return Err(CommandError::Stopped);
        }
        is_idle = next == Next::Idle;
        if is_idle || !continues {
            // Its error is a reason why the node is not ready, and the next run audits again.
            let _ = session.audit();
        }
    }
    let (reasons, counts) = (session.not_ready(), session.counts());
    if reasons.is_empty() { Ok(counts) } else { Err(CommandError::NotInSync { reasons, counts }) }
}
