//! `run`: programs HNS, once or for as long as the process lives.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use hcn::Counts;
use proxy::Next;
use tracing::{info, warn};

use super::{CONVERGED, CommandError, report};
use crate::cli::{OutputForm, RunArgs, resolve};
use crate::config::Config;
use crate::end::End;
use crate::hns::Hns;
use crate::source::files::{FileError, Files};
use crate::sync::{Session, chain};
use crate::{output, source, view};

/// After the first notice of a change, how long more are awaited: programs write a file in pieces, and several files at a time.
const SETTLE: Duration = Duration::from_millis(100);
/// How long `--once` tries again what fails: HNS refuses for seconds at most while the CNI works.
const PATIENCE: Duration = Duration::from_secs(30);

/// What wakes the loop.
enum Event {
    FilesChanged,
    End,
}

pub(super) fn main(args: &RunArgs, config: &Config, end: &End) -> Result<u8, CommandError> {
    let files = Files::open(args.proxy.source.from.as_deref().ok_or(CommandError::NoSource)?)?;
    let hns = Hns::open(&args.proxy.hns)?;
    let (settings, host) = resolve(config, &args.proxy.node, &hns, &files.catalog())?;
    let (events, received) = mpsc::channel();
    let ended = events.clone();
    // The receiver outlives its use but for the very end, when nobody needs to be told.
    end.when_told(move || drop(ended.send(Event::End)));
    let mut session = Session::new(&hns, settings, host);
    info!("{}", session.note());
    let result = if args.once {
        once(args, &files, &hns, &mut session, &received)
    } else {
        let watcher = source::watch(files.root(), move || drop(events.send(Event::FilesChanged)))?;
        let result = keep(args, files, &mut session, &received);
        drop(watcher);
        result
    };
    if let Some(path) = &args.save_hns {
        hns.save(path)?;
    }
    result.map(|()| CONVERGED)
}

/// Converges, and shows what HNS then holds. What failed is shown too, before the error.
fn once(
    args: &RunArgs,
    files: &Files,
    hns: &Hns,
    session: &mut Session<'_>,
    events: &Receiver<Event>,
) -> Result<(), CommandError> {
    let catalog = files.catalog();
    session.load(&catalog);
    session.observe()?;
    while let Next::At(time) = session.run() {
        if session.is_converged() || time > PATIENCE {
            break;
        }
        if let Ok(Event::End) = events.recv_timeout(time.saturating_sub(session.now())) {
            break;
        }
    }
    let Counts { calls, writes } = hns.counts();
    let snapshot = view::read(&*hns.hcn(), session.client(), session.note())?;
    match args.proxy.output.output {
        OutputForm::Table => output::text(&view::table(&snapshot, &session.frontends()))?,
        OutputForm::Json => output::json(&snapshot)?,
    }
    report(&catalog, &mut Vec::new());
    if session.is_converged() {
        info!("converged: {calls} native calls, {writes} writes");
        Ok(())
    } else {
        Err(CommandError::NotConverged(format!("{calls} native calls, {writes} writes; the log names what failed")))
    }
}

/// Follows the files, and looks every few seconds whether others have changed HNS.
fn keep(
    args: &RunArgs,
    mut files: Files,
    session: &mut Session<'_>,
    events: &Receiver<Event>,
) -> Result<(), CommandError> {
    let mut said = Vec::new();
    let mut complained = Vec::new();
    let catalog = files.catalog();
    session.load(&catalog);
    report(&catalog, &mut said);
    let mut next_audit = Duration::ZERO;
    let mut reload_at: Option<Duration> = None;
    loop {
        if session.now() >= next_audit {
            session.audit();
            next_audit = session.now() + args.hns_audit_interval;
        }
        let mut wake = next_audit;
        if let Next::At(time) = session.run() {
            wake = wake.min(time);
        }
        wake = reload_at.map_or(wake, |time| wake.min(time));
        match events.recv_timeout(wake.saturating_sub(session.now())) {
            Ok(Event::FilesChanged) => {
                reload_at.get_or_insert(session.now() + SETTLE);
            }
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => {
                info!("ended; HNS keeps what it holds");
                return Ok(());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if reload_at.is_some_and(|time| session.now() >= time) {
            reload_at = None;
            complain(files.refresh(), &mut complained);
            let catalog = files.catalog();
            session.load(&catalog);
            report(&catalog, &mut said);
        }
    }
}

/// Says which files can't be read, when that begins and when it is over.
fn complain(errors: Vec<FileError>, complained: &mut Vec<String>) {
    let texts: Vec<String> = errors.iter().map(|error| chain(error)).collect();
    texts
        .iter()
        .filter(|text| !complained.contains(text))
        .for_each(|text| warn!("{text}; what it last said stays true"));
    if texts.is_empty() && !complained.is_empty() {
        info!("all files can be read again");
    }
    *complained = texts;
}
