//! One side of a connection: its stack, and the program that uses it.

use std::net::{IpAddr, SocketAddr};

use vswitch::Instant;

use crate::client::{Client, Outcome, greeting};
use crate::setup::Transport;
use crate::stack::Stack;

/// Which connection a packet belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The address of the host.
    pub(crate) host: IpAddr,
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

pub(crate) struct Connection {
    pub(crate) stack: Stack,
    pub(crate) program: Program,
    /// When it is polled again.
    pub(crate) wakes_at: Option<Instant>,
}

pub(crate) enum Program {
    Client(Client),
    /// Sends its greeting once, or to each UDP query, and then returns what it receives.
    Server {
        has_greeted: bool,
    },
}

impl Connection {
    pub(crate) fn new(stack: Stack, program: Program) -> Self {
        Self { stack, program, wakes_at: None }
    }

    /// Processes what was received and what is due. Returns the packets to send, and the outcome if there is one now.
    pub(crate) fn poll(&mut self, host: IpAddr, now: Instant) -> (Vec<Vec<u8>>, Option<Outcome>) {
        let mut packets = self.stack.poll(now);
        let outcome = match &mut self.program {
            Program::Client(client) => client.step(&mut self.stack, now),
            Program::Server { has_greeted } => {
                let received = self.stack.take_received();
                let is_datagram = self.stack.is_datagram();
                if (is_datagram && !received.is_empty()) || (!is_datagram && !*has_greeted && self.stack.is_open()) {
                    *has_greeted = true;
                    self.stack.send(&greeting(host));
                }
                if !is_datagram {
                    self.stack.send(&received);
                }
                if *has_greeted && self.stack.was_closed_by_peer() {
                    self.stack.close();
                }
                None
            }
        };
        packets.append(&mut self.stack.poll(now));
        (packets, outcome)
    }
}
