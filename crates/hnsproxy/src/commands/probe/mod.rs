//! `probe`: compares HNS with what is known of its build, so that an operator finds out on a real node which assumptions hold there.

mod created;
mod described;
pub(super) mod foreign;
mod inspect;
mod lists;
mod members;
pub(super) mod networks;
pub(super) mod policies;
pub(super) mod raw;
mod removal;
mod scratch;
mod stopwatch;
mod table;
mod write;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cluster_source::error_chain;
use hcn::ApiVersion;
use hcn_survey::{Answer, Check, HostFacts, NotProbed, Survey, answer, judge};

use super::{FAILED, IN_SYNC};
use crate::cli::ProbeArgs;
use crate::error::CommandError;
use crate::hns::Hns;
use crate::instance_lock::InstanceLock;
use crate::output;
use crate::shutdown::Shutdown;
use created::Created;
use inspect::Inspected;
use removal::Removed;
use stopwatch::Stopwatch;
use write::Writer;

/// Exit code: an answer is not the expected one.
const OTHER: u8 = FAILED;
/// Exit code: HNS could not be probed.
const NOT_PROBED: u8 = 2;

pub(super) fn main(args: &ProbeArgs) -> Result<u8, CommandError> {
    let result = match args {
        ProbeArgs { cleanup: true, .. } => cleanup(args),
        ProbeArgs { write: true, .. } => probe_and_write(args),
        _ => probe(args),
    };
    result.or_else(|error| match error {
        // It has an exit code of its own, as with all commands.
        CommandError::Locked(_) => Err(error),
        error => {
            tracing::error!("{}", error_chain(&error));
            Ok(NOT_PROBED)
        }
    })
}

fn probe(args: &ProbeArgs) -> Result<u8, CommandError> {
    let hns = Hns::open(&args.hns)?;
    let survey = inspect(args, &hns, &Stopwatch::on(&hns))?.survey;
    print(args, &survey)?;
    Ok(exit_code(&survey))
}

fn probe_and_write(args: &ProbeArgs) -> Result<u8, CommandError> {
    if !args.yes {
        confirm()?;
    }
    let created = Created::default();
    let shutdown = shutdown(&created)?;
    let Some((_lock, hns)) = open(args, &shutdown)? else { return Err(CommandError::ProbeStopped) };
    let is_stopped = Arc::new(AtomicBool::new(false));
    let requested = is_stopped.clone();
    shutdown.on_request(move || requested.store(true, Ordering::SeqCst));
    let stopwatch = Stopwatch::on(&hns);

    let Inspected { version, api, network, in_use, mut survey } = inspect(args, &hns, &stopwatch)?;
    let network = network.and_then(|network| Some((network.id?, network)));
    let Some((id, network)) = network else {
        let reason = survey.network_choice.reason.clone();
        print(args, &survey)?;
        return Err(CommandError::ProbeNetwork(reason));
    };
    // Only calls of the same kind of objects are comparable.
    stopwatch.reset();
    // Those of a killed probe would be in the way.
    let removal = remove(&hns, api, &created)?;
    ensure_none_left(&removal)?;
    let foreign = in_use.into_iter().find(|(object, _)| !removal.found.contains(object));
    if let Some((_, reason)) = foreign {
        print(args, &survey)?;
        return Err(CommandError::ProbeAddresses(reason));
    }
    let mut writer = Writer {
        hcn: hns.hcn(),
        client: hns.client(api),
        v1: hns.client(ApiVersion::V1),
        version,
        network: id,
        overlay: network.kind.is_overlay(),
        is_stopped: &|| is_stopped.load(Ordering::SeqCst),
        needed: BTreeSet::new(),
        created: created.clone(),
        findings: Vec::new(),
    };
    let result = writer.run(&stopwatch, args.samples.get());
    writer.client.release_network(id);
    survey.findings.extend(writer.findings);
    let removal = remove(&hns, api, &created);
    let observed = match &removal {
        Ok(Removed { left, .. }) if !left.is_empty() => Answer::with(answer::SOME_NOT, Some(left.to_string())),
        Ok(Removed { unread, .. }) if !unread.is_empty() => {
            Answer::with(answer::NOT_CONFIRMED, Some(unread.to_string()))
        }
        Ok(_) => answer::NONE.into(),
        Err(error) => Answer::with(answer::NOT_CONFIRMED, Some(error.to_string())),
    };
    survey.findings.push(judge(Check::Removed, version, observed));
    survey.timings = stopwatch.timings();
    print(args, &survey)?;
    // What is left on the node is worse than a check that was not made.
    ensure_confirmed(&removal?)?;
    result?;
    Ok(exit_code(&survey))
}

/// Removes what killed probes have left.
fn cleanup(args: &ProbeArgs) -> Result<u8, CommandError> {
    let created = Created::default();
    let shutdown = shutdown(&created)?;
    let Some((_lock, hns)) = open(args, &shutdown)? else { return Err(CommandError::ProbeStopped) };
    let version = hns.client(ApiVersion::V1).version()?;
    let removal = remove(&hns, hns.api_version(version), &created)?;
    ensure_confirmed(&removal)?;
    tracing::info!(objects = removal.found.len(), "removed the objects of the probe");
    Ok(IN_SYNC)
}

/// The shutdown of a probe that writes. Without a limit: where a write takes seconds, the removal takes longer than the limit of other commands.
fn shutdown(created: &Created) -> Result<Shutdown, CommandError> {
    let shutdown = Shutdown::on_signals_unlimited()?;
    let created = created.clone();
    shutdown.leaves(move || {
        let left = created.not_deleted();
        (!left.is_empty()).then(|| format!("left behind: {left}; remove with `hnsproxy probe --cleanup`"))
    });
    shutdown.on_request(|| tracing::info!("shutdown requested; removing the objects of the probe"));
    Ok(shutdown)
}

/// Opens HNS as the only hnsproxy that writes to it. `None` if a shutdown is requested first. Unlike in other commands, reads are still made after
/// the request, since the objects of the probe have to be found.
fn open(args: &ProbeArgs, shutdown: &Shutdown) -> Result<Option<(InstanceLock, Arc<Hns>)>, CommandError> {
    let Some(lock) = InstanceLock::acquire(args.hns.choice(), shutdown.timer())? else { return Ok(None) };
    let hns = Hns::open(&args.hns)?;
    shutdown.waits_for(hns.oldest_call());
    Ok(Some((lock, hns)))
}

fn inspect(args: &ProbeArgs, hns: &Hns, stopwatch: &Stopwatch) -> Result<Inspected, CommandError> {
    let of_environment = std::env::var("KUBE_NETWORK").ok();
    let configured = args.network_name.as_deref().or(of_environment.as_deref());
    let inspected = inspect::inspect(hns, configured, stopwatch);
    Ok(inspected.inspect_err(|error| {
        if let Err(error) = print_not_probed(args, hns, error) {
            tracing::error!("{}", error_chain(&error));
        }
    })?)
}

/// Prints what Windows says without HNS: the state of its service often explains the error.
fn print_not_probed(args: &ProbeArgs, hns: &Hns, error: &hcn::Error) -> Result<(), CommandError> {
    let version = hns.client(ApiVersion::V1).version().ok();
    let host = HostFacts::read(version.map(|version| version.to_string()));
    let facts = NotProbed { description: hns.description(), host, error: error.to_string() };
    output::print(args.output.output, &facts, |_| table::not_probed(&facts))?;
    Ok(())
}

/// Removes the objects of all probes.
fn remove(hns: &Hns, api: ApiVersion, created: &Created) -> Result<Removed, hcn::Error> {
    removal::remove(&*hns.hcn(), &hns.client(api), created)
}

/// # Errors
/// If objects are left.
fn ensure_none_left(removal: &Removed) -> Result<(), CommandError> {
    let Removed { left, .. } = removal;
    if left.is_empty() { Ok(()) } else { Err(CommandError::ProbeNotRemoved(left.to_string())) }
}

/// # Errors
/// If objects are left, or may be.
fn ensure_confirmed(removal: &Removed) -> Result<(), CommandError> {
    ensure_none_left(removal)?;
    let Removed { unread, .. } = removal;
    if unread.is_empty() { Ok(()) } else { Err(CommandError::ProbeUnread(unread.to_string())) }
}

fn confirm() -> Result<(), CommandError> {
    if !io::stdin().is_terminal() {
        return Err(CommandError::ProbeNotAsked);
    }
    let mut question = io::stderr();
    write!(
        question,
        "The probe creates and deletes HNS objects on this node, on addresses for documentation. Continue? [y/N] "
    )?;
    question.flush()?;
    let mut reply = String::new();
    io::stdin().read_line(&mut reply)?;
    let is_yes = ["y", "yes"].iter().any(|yes| reply.trim().eq_ignore_ascii_case(yes));
    if is_yes { Ok(()) } else { Err(CommandError::ProbeNotConfirmed) }
}

fn print(args: &ProbeArgs, survey: &Survey) -> Result<(), CommandError> {
    output::print(args.output.output, survey, |layout| table::text(survey, layout))?;
    Ok(())
}

fn exit_code(survey: &Survey) -> u8 {
    if survey.has_other() { OTHER } else { IN_SYNC }
}
