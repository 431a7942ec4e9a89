//! Logs and records HNS calls in flight that exceed their budget. The calling thread cannot do this, because it is blocked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use hcn::{CallInFlight, Hcn, Instrumented, SlowCall};
use tracing::{info, warn};

use crate::history::History;

/// The calls in flight are read eight times in a budget, so that one is logged soon after it is over.
const READS: u32 = 8;
/// With a budget that is only for tests, the thread would use the processor for nothing else.
const MIN_INTERVAL: Duration = Duration::from_millis(10);
/// One wake-up in a second costs nothing that can be measured.
const MAX_INTERVAL: Duration = Duration::from_secs(1);

/// Watches the calls until the HNS is dropped.
///
/// # Errors
/// If the system cannot start a thread.
pub(super) fn watch(hcn: &Arc<Instrumented<Box<dyn Hcn>>>, history: Arc<OnceLock<History>>) -> std::io::Result<()> {
    let (hcn, budget) = (Arc::downgrade(hcn), hcn.budget());
    thread::Builder::new().name("hns-watchdog".into()).spawn(move || run(&hcn, budget, &history)).map(drop)
}

fn run(hcn: &Weak<Instrumented<Box<dyn Hcn>>>, budget: Duration, history: &OnceLock<History>) {
    let interval = (budget / READS).clamp(MIN_INTERVAL, MAX_INTERVAL);
    let mut watchdog = Watchdog::new(budget);
    loop {
        #[allow(
            clippy::disallowed_methods,
            reason = "the thread that makes the calls cannot wake this one when it hangs"
        )]
        thread::sleep(interval);
        let Some(hcn) = hcn.upgrade() else { return };
        for message in watchdog.check(&hcn.in_flight()) {
            let warn = |call| warn!("HNS call over its budget of {} s: {call}", budget.as_secs_f64());
            match message {
                Message::Overdue(call) => {
                    warn(call);
                    history.get().into_iter().for_each(|history| history.record_overdue(call));
                }
                Message::Doubled(call) => warn(call),
                Message::Resolved(call) => {
                    info!("HNS call over its budget: {call}: resolved");
                    history.get().into_iter().for_each(|history| history.record_returned(call));
                }
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Message {
    /// The call exceeds the budget.
    Overdue(SlowCall),
    /// Its duration has doubled since the last message.
    Doubled(SlowCall),
    /// With the duration when the call was last seen.
    Resolved(SlowCall),
}

/// Decides what is logged.
struct Watchdog {
    budget: Duration,
    /// By number of the call: as it was last seen, and the duration after which it is logged again.
    overdue: BTreeMap<u64, (SlowCall, Duration)>,
}

impl Watchdog {
    fn new(budget: Duration) -> Self {
        Self { budget, overdue: BTreeMap::new() }
    }

    /// What is to be logged of the calls in flight.
    fn check(&mut self, in_flight: &[CallInFlight]) -> Vec<Message> {
        let is_in_flight = |number: &u64| in_flight.iter().any(|call| call.number == *number);
        let mut messages = Vec::new();
        self.overdue.retain(|number, (call, _)| {
            let stays = is_in_flight(number);
            messages.extend((!stays).then_some(Message::Resolved(*call)));
            stays
        });
        for CallInFlight { number, function, took } in in_flight.iter().copied().filter(|call| call.took > self.budget)
        {
            let call = SlowCall { function, took };
            match self.overdue.entry(number) {
                Entry::Vacant(new) => {
                    new.insert((call, took * 2));
                    messages.push(Message::Overdue(call));
                }
                Entry::Occupied(known) => {
                    let (last, again) = known.into_mut();
                    *last = call;
                    if took > *again {
                        // Doubles the current duration, not the last limit: after a long pause of this thread, one message is logged.
                        *again = took * 2;
                        messages.push(Message::Doubled(call));
                    }
                }
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u64, seconds: u64) -> CallInFlight {
        CallInFlight { number, function: "HcnCreateLoadBalancer", took: Duration::from_secs(seconds) }
    }

    fn slow(seconds: u64) -> SlowCall {
        SlowCall { function: "HcnCreateLoadBalancer", took: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_call_is_logged_while_it_hangs_at_growing_intervals_and_when_it_is_resolved() {
        let mut watchdog = Watchdog::new(Duration::from_secs(5));
        let logged: Vec<u64> = (1..=100).filter(|seconds| !watchdog.check(&[call(7, *seconds)]).is_empty()).collect();
        assert_eq!(logged, [6, 13, 27, 55]);
        assert_eq!(watchdog.check(&[call(8, 1)]), [Message::Resolved(slow(100))]);
        assert_eq!(watchdog.check(&[]), []);
    }

    #[test]
    fn each_call_that_hangs_is_logged() {
        let mut watchdog = Watchdog::new(Duration::from_secs(5));
        assert_eq!(
            watchdog.check(&[call(1, 6), call(2, 5), call(3, 7)]),
            [Message::Overdue(slow(6)), Message::Overdue(slow(7)),]
        );
        assert_eq!(watchdog.check(&[call(1, 7), call(2, 6), call(3, 8)]), [Message::Overdue(slow(6))]);
    }
}
