//! Injected faults: calls that fail, are delayed, or hang.

use std::time::Duration;

use hcn::Hresult;
use hcn::call::Call;
use serde::{Deserialize, Serialize};

/// Which calls a fault affects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// Calls of a native function.
    Function(String),
    /// Calls that can change the state of HNS.
    Writes,
    Any,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// The call is not made, and returns a code.
    Fail(Hresult),
    /// The call is made, and returns a code as if it had failed.
    FailAfter(Hresult),
    /// The call takes longer by this time.
    Delay(Duration),
    /// The call does not return before it is [released](crate::Emulator::release). It is made then.
    Hang,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub which: Which,
    /// The first of these calls that it affects, counted from 1.
    pub from: u64,
    /// The distance to the next affected call; 0 if there is none.
    pub every: u64,
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
    /// How many more calls the fault affects; `None` for no limit.
    left: Option<u64>,
}

impl Faults {
    /// `times` limits the number of affected calls.
    pub(crate) fn inject(&mut self, fault: Fault, times: Option<u64>) {
        self.faults.push(Injected { fault, seen: 0, left: times });
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    /// The effects on a call.
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
