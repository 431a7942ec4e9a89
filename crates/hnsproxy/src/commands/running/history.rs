//! `history`: shows the entries of the history, and new ones with `--follow`.

use cluster_source::error_chain;
use serde_json::Value;

use super::{page, parts, pause, query, server};
use crate::cli::{HistoryArgs, OutputForm};
use crate::commands::IN_SYNC;
use crate::error::CommandError;
use crate::output;
use crate::view::{self, HistoryView};

/// The maximum number of entries in the history.
const LIMIT: &str = "4096";

pub(in crate::commands) fn main(args: &HistoryArgs) -> Result<u8, CommandError> {
    let (document, history) = get(args, args.since.as_deref())?;
    let form = args.running.output.output;
    let shown = output::show(form, &document, |layout| view::history(&history, layout))?;
    if args.follow && shown.is_continue() {
        follow(args, history)?;
    }
    Ok(IN_SYNC)
}

fn get(args: &HistoryArgs, since: Option<&str>) -> Result<(Value, HistoryView), CommandError> {
    let service = args.service.as_ref().map(ToString::to_string);
    // Without `since`, the default limit of the page applies.
    let since = since.into_iter().flat_map(|since| [("since", since), ("limit", LIMIT)]);
    let parameters = since.chain(service.as_deref().map(|service| ("service", service)));
    let server = server(&args.running);
    let document = page(&server, &format!("/debug/history?{}", query(parameters)))?;
    let history = parts(&server, &document)?;
    Ok((document, history))
}

/// Shows new entries until a signal ends the process, or the output is closed.
fn follow(args: &HistoryArgs, mut last: HistoryView) -> Result<(), CommandError> {
    let mut is_reachable = true;
    loop {
        pause();
        let next = get(args, Some(&last.last_sequence.to_string()));
        let (document, next) = match next {
            Ok((_, next)) if next.begins_after(&last) => {
                // The next request gets all entries of the new process.
                last = next;
                last.last_sequence = 0;
                continue;
            }
            Ok(next) => next,
            Err(error) => {
                if is_reachable {
                    tracing::warn!("{}; retrying each second", error_chain(&error));
                }
                is_reachable = false;
                continue;
            }
        };
        is_reachable = true;
        if !next.entries.is_empty() && show_entries(args.running.output.output, &document, &next)?.is_break() {
            return Ok(());
        }
        last = next;
    }
}

fn show_entries(
    form: OutputForm,
    document: &Value,
    history: &HistoryView,
) -> std::io::Result<std::ops::ControlFlow<()>> {
    // Documents in a YAML stream are separated by `---`.
    if form == OutputForm::Yaml && output::try_text("---\n")?.is_break() {
        return Ok(std::ops::ControlFlow::Break(()));
    }
    output::show(form, document, |_| view::history_lines(history))
}
