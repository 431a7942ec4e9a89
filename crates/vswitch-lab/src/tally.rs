//! What became of the connections.

use std::collections::BTreeMap;
use std::fmt;

use vswitch::DropReason;

/// The counts of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub new: New,
    pub held: Held,
    pub packets: Packets,
}

/// The packets of hosts, as far as they needed the switch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packets {
    /// Those that entered the switch.
    pub entered: u64,
    /// Those that left the switch for an address that no host has.
    pub lost: u64,
    /// Those that the switch dropped.
    pub drops: BTreeMap<DropReason, u64>,
}

/// Connections for one answer, and UDP queries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct New {
    /// Answered at once.
    pub ok: u64,
    /// Answered after a retry, of the SYN in most cases.
    pub slow: u64,
    /// Refused, or not answered in time.
    pub failed: u64,
}

/// TCP connections that should last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Open at the end.
    pub kept: u64,
    /// Broken although the backend stayed ready.
    pub broken: u64,
    /// Broken after the backend had become unready.
    pub ended: u64,
    /// Never opened.
    pub unopened: u64,
}

/// A number of each kind, in several runs: the least and the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub least: u64,
    pub greatest: u64,
}

/// The range of several runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub ok: Range,
    pub slow: Range,
    pub failed: Range,
    pub kept: Range,
    pub broken: Range,
    pub ended: Range,
    pub unopened: Range,
}

impl Span {
    /// The range over some runs; `None` without a run.
    pub fn of<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Option<Self> {
        tallies.into_iter().map(Self::one).reduce(Self::with)
    }

    fn one(tally: &Tally) -> Self {
        let only = |number| Range { least: number, greatest: number };
        let Tally { new: New { ok, slow, failed }, held: Held { kept, broken, ended, unopened }, .. } = *tally;
        Self {
            ok: only(ok),
            slow: only(slow),
            failed: only(failed),
            kept: only(kept),
            broken: only(broken),
            ended: only(ended),
            unopened: only(unopened),
        }
    }

    fn with(self, other: Self) -> Self {
        let both = |a: Range, b: Range| Range { least: a.least.min(b.least), greatest: a.greatest.max(b.greatest) };
        Self {
            ok: both(self.ok, other.ok),
            slow: both(self.slow, other.slow),
            failed: both(self.failed, other.failed),
            kept: both(self.kept, other.kept),
            broken: both(self.broken, other.broken),
            ended: both(self.ended, other.ended),
            unopened: both(self.unopened, other.unopened),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.least == self.greatest {
            f.pad(&self.least.to_string())
        } else {
            f.pad(&format!("{}-{}", self.least, self.greatest))
        }
    }
}
