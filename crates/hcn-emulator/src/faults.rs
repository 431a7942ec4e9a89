//! Injected faults: calls that fail, are delayed or hang, and lists that are wrong although the call succeeds.

use std::time::Duration;

use hcn::call::{Call, Method, Reply};
use hcn::{Hresult, Kind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rules::Rule;
use crate::store::Store;
use crate::v2;

/// Which calls a fault affects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// Calls of a native function.
    Function(String),
    /// Calls that can change the state of HNS.
    Writes,
    /// The HNS v1 list of a kind: `HNSCall` with `GET /endpoints/`, for example. Networks, endpoints, load balancers and
    /// namespaces have one.
    V1List(Kind),
    /// The enumeration of a kind in the HCN (v2) API.
    V2List(Kind),
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
    /// A list succeeds with this percentage of its objects, evenly spread: 0 is an empty list. Other calls are not affected.
    Partial(u8),
    /// A deletion or modification succeeds, and changes nothing. Other calls are not affected.
    NoEffect,
    /// A list succeeds with the objects of the moment when the fault was injected. Other calls are not affected.
    Stale,
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

impl Fault {
    /// A fault of each of these calls.
    pub fn of_each(which: Which, effect: Effect) -> Self {
        Self { which, from: 1, every: 1, effect }
    }
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
    /// The objects when the fault was injected, for [`Effect::Stale`].
    earlier: Option<Box<Store>>,
}

/// The effects on one call.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) delay: Duration,
    pub(crate) hang: bool,
    /// The call is not made.
    pub(crate) fail: Option<Hresult>,
    /// The call is made.
    pub(crate) fail_after: Option<Hresult>,
    /// A deletion or modification is not made, and succeeds.
    pub(crate) no_effect: bool,
    /// The answer of an earlier moment, instead of that of the store.
    pub(crate) stale: Option<Result<Reply, Rule>>,
    percent: Option<u8>,
}

impl Effects {
    /// The success of a call that is not made.
    pub(crate) fn pretended(&self, call: &Call) -> Option<Reply> {
        match call {
            Call::Delete { .. } | Call::Modify { .. } if self.no_effect => Some(Reply::Done),
            Call::Hns { method: Method::Delete, .. } if self.no_effect => {
                Some(Reply::Document(json!({"Success": true}).to_string()))
            }
            _ => None,
        }
    }

    /// Leaves objects out of a successful list.
    pub(crate) fn thin_out(&self, call: &Call, reply: Reply) -> Reply {
        match (self.percent, listed(call), reply) {
            (Some(percent), Some(_), Reply::Document(text)) => Reply::Document(thin_out(&text, percent)),
            (_, _, reply) => reply,
        }
    }
}

impl Faults {
    /// `times` limits the number of affected calls.
    pub(crate) fn inject(&mut self, fault: Fault, times: Option<u64>, store: &Store) {
        let earlier = (fault.effect == Effect::Stale).then(|| Box::new(store.clone()));
        self.faults.push(Injected { fault, seen: 0, left: times, earlier });
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    /// The effects on a call.
    pub(crate) fn effects_on(&mut self, call: &Call) -> Effects {
        let mut effects = Effects::default();
        if !call.is_counted() {
            return effects;
        }
        for Injected { fault, seen, left, earlier } in &mut self.faults {
            let concerned = match &fault.which {
                Which::Function(function) => function == call.function(),
                Which::Writes => call.is_write(),
                Which::V1List(kind) => listed(call) == Some(*kind) && matches!(call, Call::Hns { .. }),
                Which::V2List(kind) => listed(call) == Some(*kind) && matches!(call, Call::Enumerate { .. }),
                Which::Any => true,
            };
            if !concerned {
                continue;
            }
            *seen += 1;
            let after = seen.checked_sub(fault.from);
            let applies = after.is_some_and(|n| n == 0 || (fault.every > 0 && n.is_multiple_of(fault.every)));
            if !applies || *left == Some(0) {
                continue;
            }
            *left = left.map(|left| left - 1);
            match fault.effect {
                Effect::Fail(code) => effects.fail = effects.fail.or(Some(code)),
                Effect::FailAfter(code) => effects.fail_after = effects.fail_after.or(Some(code)),
                Effect::Delay(delay) => effects.delay = effects.delay.saturating_add(delay),
                Effect::Hang => effects.hang = true,
                Effect::NoEffect => effects.no_effect = true,
                Effect::Partial(percent) => effects.percent = effects.percent.or(Some(percent)),
                Effect::Stale => {
                    let earlier = earlier.as_deref_mut().filter(|_| listed(call).is_some());
                    let answer = earlier.map(|store| v2::call(store, call));
                    effects.stale = effects.stale.take().or(answer);
                }
            }
        }
        effects
    }
}

/// The kind of the objects that a call lists.
fn listed(call: &Call) -> Option<Kind> {
    match call {
        Call::Enumerate { kind, .. } => Some(*kind),
        Call::Hns { method: Method::Get, path, .. } => match path.trim_matches('/') {
            "networks" => Some(Kind::Network),
            "endpoints" => Some(Kind::Endpoint),
            // The list of routes is the same.
            "policylists" => Some(Kind::LoadBalancer),
            "namespaces" => Some(Kind::Namespace),
            _ => None,
        },
        _ => None,
    }
}

/// A list with a percentage of its objects.
fn thin_out(text: &str, percent: u8) -> String {
    let Ok(mut document) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let objects = match &mut document {
        // An enumeration is an array of ids; `HNSCall` has its list in an envelope.
        Value::Array(ids) => Some(ids),
        envelope => envelope.get_mut("Output").and_then(Value::as_array_mut),
    };
    let kept = |index: usize| index * usize::from(percent.min(100)) / 100;
    let mut index = 0;
    if let Some(objects) = objects {
        objects.retain(|_| {
            index += 1;
            kept(index) > kept(index - 1)
        });
    }
    document.to_string()
}

#[cfg(test)]
mod tests {
    use hcn::Guid;

    use super::*;
    use crate::builds::Build;

    #[test]
    fn delays_add_up_to_at_most_the_longest_time() {
        let store = Store::new(Build::of(hcn::Version { major: 15, minor: 5 }));
        let mut faults = Faults::default();
        for _ in 0..2 {
            faults.inject(Fault::of_each(Which::Any, Effect::Delay(Duration::MAX)), None, &store);
        }
        let call = Call::Open { kind: Kind::Network, id: Guid::nil() };
        assert_eq!(faults.effects_on(&call).delay, Duration::MAX);
    }
}
