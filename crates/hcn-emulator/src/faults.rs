//! Calls that fail, or take their time, on demand.

use std::time::Duration;

use hcn::Hresult;
use hcn::call::Call;

/// Which calls a fault concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those of a native function.
    Function(String),
    /// Those that can change what HNS holds.
    Writes,
    /// All.
    Any,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is not carried out, and answers with a code.
    Fail(Hresult),
    /// It is carried out, and answers with a code all the same.
    FailAfter(Hresult),
    /// It takes a while.
    Delay(Duration),
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    faults: Vec<(Fault, u64)>,
}

impl Faults {
    pub(crate) fn inject(&mut self, fault: Fault) {
        self.faults.push((fault, 0));
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
        for (fault, seen) in &mut self.faults {
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
            effects.extend(strikes.then_some(fault.effect));
        }
        effects
    }
}
