//! Calls that fail, or take their time, on demand.

use std::time::Duration;

use hcn::Hresult;
use hcn::call::Call;
use serde::{Deserialize, Serialize};

/// Which calls a fault concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// Those of a native function.
    Function(String),
    /// Those that can change what HNS holds.
    Writes,
    /// All.
    Any,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// It is not carried out, and answers with a code.
    Fail(Hresult),
    /// It is carried out, and answers with a code all the same.
    FailAfter(Hresult),
    /// It takes a while.
    Delay(Duration),
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which calls it concerns.
    pub which: Which,
    /// From which of these calls on, counted from 1.
    pub from: u64,
    /// Every how many of these calls after that; 0: never again.
    pub every: u64,
    /// What happens.
    pub effect: Effect,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    faults: Vec<Injected>,
}

#[derive(Debug)]
struct Injected {
    fault: Fault,
    seen: u64,
    /// How often it can still strike; none: any number of times.
    left: Option<u64>,
}

impl Faults {
    /// `times` limits how often it strikes.
    pub(crate) fn inject(&mut self, fault: Fault, times: Option<u64>) {
        self.faults.push(Injected { fault, seen: 0, left: times });
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    /// What happens to a call.
    pub(crate) fn strike(&mut self, call: &Call) -> Vec<Effect> {
        if !call.is_counted() {
            return Vec::new();
        }
        let mut effects = Vec::new();
        for Injected { fault, seen, left } in &mut self.faults {
            let concerned = match &fault.which {
                Which::Function(function) => function == call.function(),
                Which::Writes => call.is_write(),
                Which::Any => true,
            };
            if !concerned {
                continue;
            }
            *seen += 1;
            let after = seen.checked_sub(fault.from);
            let strikes = after.is_some_and(|n| n == 0 || (fault.every > 0 && n.is_multiple_of(fault.every)));
            if strikes && *left != Some(0) {
                *left = left.map(|left| left - 1);
                effects.push(fault.effect);
            }
        }
        effects
    }
}
