//! What a client does with its connection, and what it says about it.

use std::net::{IpAddr, Ipv6Addr};

use vswitch::Instant;

use crate::stack::Stack;

/// An answer that takes longer was sent, or asked for, more than once. An answer at once takes about a millisecond, and the first retry of a
/// SYN comes after 0.7 s.
const SLOW: u64 = 500_000;
/// A UDP query is sent again after this time, in microseconds.
const RETRY: u64 = 1_000_000;
/// How often a UDP query is sent before the client gives up.
const MAX_QUERIES: u32 = 3;
/// The length of a greeting.
const GREETING: usize = 16;

/// The greeting of a server: its address.
pub(crate) fn greeting(server: IpAddr) -> [u8; GREETING] {
    match server {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To get one answer.
    New,
    /// To last until the end.
    Held,
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Slow,
    Failed,
    /// A held connection ended.
    Broken,
    Kept,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) purpose: Purpose,
    opened: Instant,
    /// The server that has answered.
    pub(crate) backend: Option<IpAddr>,
    received: Vec<u8>,
    queries: u32,
    has_outcome: bool,
}

impl Client {
    pub(crate) fn new(purpose: Purpose, opened: Instant) -> Self {
        Self { purpose, opened, backend: None, received: Vec::new(), queries: 0, has_outcome: false }
    }

    /// After packets were processed. Returns the outcome once.
    pub(crate) fn step(&mut self, stack: &mut Stack, now: Instant) -> Option<Outcome> {
        let received = stack.take_received();
        if self.backend.is_none() {
            self.received.extend(received);
            let greeting: Option<[u8; GREETING]> = self.received.first_chunk().copied();
            self.backend = greeting.map(|octets| Ipv6Addr::from(octets).to_canonical());
        }
        let outcome = match self.purpose {
            Purpose::New if self.backend.is_some() => Outcome::answered(now - self.opened),
            Purpose::New if stack.was_closed_by_peer() => Outcome::Failed,
            Purpose::Held if stack.was_closed_by_peer() => Outcome::Broken,
            _ => return None,
        };
        stack.close();
        self.settle(outcome)
    }

    /// At the interval of messages. Returns whether there is another one, and the outcome if the client gives up.
    pub(crate) fn tick(&mut self, stack: &mut Stack) -> (bool, Option<Outcome>) {
        match self.purpose {
            Purpose::Held => {
                if stack.is_open() {
                    stack.send(b".");
                }
                (!self.has_outcome, None)
            }
            Purpose::New if self.has_outcome || !stack.is_datagram() => (false, None),
            Purpose::New if self.queries == MAX_QUERIES => (false, self.settle(Outcome::Failed)),
            Purpose::New => {
                self.queries += 1;
                stack.send(b"?");
                (true, None)
            }
        }
    }

    /// The time to the next tick, in microseconds.
    pub(crate) fn interval(&self, rng: &mut fastrand::Rng) -> u64 {
        match self.purpose {
            Purpose::Held => rng.u64(100_000..300_000),
            Purpose::New => RETRY,
        }
    }

    /// The outcome if nothing happens any more.
    pub(crate) fn finish(&mut self, stack: &Stack) -> Option<Outcome> {
        self.settle(match self.purpose {
            Purpose::New => Outcome::Failed,
            Purpose::Held if self.backend.is_some() && stack.is_open() => Outcome::Kept,
            Purpose::Held => Outcome::Broken,
        })
    }

    fn settle(&mut self, outcome: Outcome) -> Option<Outcome> {
        let is_first = !std::mem::replace(&mut self.has_outcome, true);
        is_first.then_some(outcome)
    }
}

impl Outcome {
    fn answered(micros: u64) -> Self {
        if micros < SLOW { Self::Ok } else { Self::Slow }
    }
}
