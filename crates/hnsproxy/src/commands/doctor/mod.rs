//! `doctor`: checks a node, and says what is wrong, why, and what to do.

mod api_server;
mod ask;
mod check;
mod checks;
mod facts;
mod gather;
mod port_ranges;
#[cfg(test)]
mod reference;
mod report;

use super::installed::Node;
use super::{FAILED, IN_SYNC};
use crate::config::Config;
use crate::error::CommandError;
use crate::output;
pub(super) use gather::{Gathered, SessionInputs, gather};
pub(super) use report::{Report, text};

/// Exit code: nothing could be checked.
const NOTHING_CHECKED: u8 = 2;

pub(super) fn main(node: &Node, config: &Config) -> Result<u8, CommandError> {
    node.log();
    let facts = gather(node, config).facts;
    let report = Report::of(&facts);
    output::print(node.proxy.output.output, &report, |layout| text(&report, layout))?;
    Ok(if report.has_failure() {
        FAILED
    } else if facts.has_none() {
        NOTHING_CHECKED
    } else {
        IN_SYNC
    })
}
