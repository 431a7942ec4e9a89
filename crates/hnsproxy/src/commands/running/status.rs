//! `status`: shows whether HNS is in sync, and what is pending.

use cluster_source::error_chain;
use serde_json::Value;

use super::{parts, pause, readyz, server};
use crate::cli::StatusArgs;
use crate::commands::{FAILED, IN_SYNC};
use crate::error::CommandError;
use crate::output;
use crate::view::{self, StatusView};

pub(in crate::commands) fn main(args: &StatusArgs) -> Result<u8, CommandError> {
    let result = if args.watch { watch(args) } else { once(args) };
    result.map_err(|error| match error {
        CommandError::Query { .. } => CommandError::NotReachable(Box::new(error)),
        other => other,
    })
}

fn once(args: &StatusArgs) -> Result<u8, CommandError> {
    let (document, status) = get(args)?;
    output::print(args.running.output.output, &document, |layout| view::status(&status, layout))?;
    Ok(if status.in_sync { IN_SYNC } else { FAILED })
}

fn get(args: &StatusArgs) -> Result<(Value, StatusView), CommandError> {
    let server = server(&args.running);
    let document = readyz(&server)?;
    let status = parts(&server, &document)?;
    Ok((document, status))
}

/// Shows each change until a signal ends the process, or the output is closed.
fn watch(args: &StatusArgs) -> Result<u8, CommandError> {
    let (mut document, mut status) = get(args)?;
    loop {
        let shown = output::show(args.running.output.output, &document, |layout| view::status(&status, layout) + "\n")?;
        if shown.is_break() {
            return Ok(IN_SYNC);
        }
        (document, status) = next(args, &status);
    }
}

/// Waits until the status changes. Continues to wait while hnsproxy restarts.
fn next(args: &StatusArgs, last: &StatusView) -> (Value, StatusView) {
    let mut is_reachable = true;
    loop {
        pause();
        match get(args) {
            Ok((document, status)) if status != *last || !is_reachable => return (document, status),
            Ok(_) => {}
            Err(error) if is_reachable => {
                tracing::warn!("{}; retrying each second", error_chain(&error));
                is_reachable = false;
            }
            Err(_) => {}
        }
    }
}
