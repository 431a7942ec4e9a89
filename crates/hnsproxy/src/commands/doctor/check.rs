//! A check: what it looks for, and its cause and cure.

use serde::Serialize;

use super::facts::Facts;

/// One question about a node, with what the operator should know about its answer.
pub(super) struct Check {
    /// Stable, for programs and for links to `docs/doctor.md`.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// When it is a warning or a failure.
    pub(super) finds: &'static str,
    pub(super) cause: &'static str,
    pub(super) cure: &'static str,
    /// An error says why the check is skipped.
    pub(super) run: fn(&Facts) -> Result<Finding, String>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    Ok(String),
    Warning(Vec<String>),
    Failure(Vec<String>),
}

impl Finding {
    /// A failure with these lines, or this text if there are none.
    pub(super) fn failure_unless_empty(lines: Vec<String>, ok: impl Into<String>) -> Self {
        if lines.is_empty() { Self::Ok(ok.into()) } else { Self::Failure(lines) }
    }

    /// A warning with these lines, or this text if there are none.
    pub(super) fn warning_unless_empty(lines: Vec<String>, ok: impl Into<String>) -> Self {
        if lines.is_empty() { Self::Ok(ok.into()) } else { Self::Warning(lines) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Verdict {
    Ok,
    Warning,
    Failure,
    Skipped,
}

impl Verdict {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
        }
    }
}
