//! The switch of one node: follows the changes of HNS, and attaches hosts.

use std::sync::Arc;
use std::thread::JoinHandle;

use hcn_emulator::ChangeFeed;
use hcn_emulator::feed::{Closer, FeedEnd, What};
use vswitch::{Assumptions, Node};

use super::shared::Shared;
use super::{Attached, TunError};
use crate::network::Network;
use crate::setup::Host;
use crate::tally::Packets;

/// The switch of one node, with the hosts that are attached to it.
#[derive(Debug)]
pub struct Driver {
    shared: Arc<Shared>,
    closer: Closer,
    follower: Option<JoinHandle<()>>,
}

impl Driver {
    /// Starts a switch with the initial state of a feed. It applies the changes of the feed until it is dropped.
    ///
    /// # Errors
    /// If the feed ends before its initial state is complete, or an object is invalid.
    pub fn start(node: Node, assumptions: Assumptions, feed: ChangeFeed) -> Result<Self, TunError> {
        let shared = Arc::new(Shared::new(Network::new(node, assumptions, &[])));
        loop {
            let what = feed.recv()?.what;
            if what == What::InitialStateEnd {
                break;
            }
            shared.apply(&what)?;
        }
        let closer = feed.closer();
        let follower = {
            let shared = shared.clone();
            std::thread::spawn(move || follow(&shared, &feed))
        };
        Ok(Self { shared, closer, follower: Some(follower) })
    }

    /// Attaches a host: a network namespace that has its address, and sends everything through the switch. The packets of a pod
    /// enter through the local endpoint with its address, as soon as HNS has one.
    ///
    /// # Errors
    /// If the namespace or the device cannot be created.
    pub fn attach(&self, host: Host) -> Result<Attached, TunError> {
        Attached::new(self.shared.clone(), host)
    }

    /// What became of the packets until now.
    pub fn packets(&self) -> Packets {
        self.shared.packets()
    }

    /// Takes the error of a thread that has ended, if there is one. Since then, the state of the switch is outdated, or a host sends nothing.
    pub fn take_error(&self) -> Option<TunError> {
        self.shared.take_error()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.closer.close();
        // A panic of the thread was reported by the thread.
        let _ = self.follower.take().map(JoinHandle::join);
    }
}

fn follow(shared: &Shared, feed: &ChangeFeed) {
    let end = loop {
        match feed.recv() {
            Ok(change) => match shared.apply(&change.what) {
                Ok(()) => {}
                Err(error) => break error,
            },
            Err(FeedEnd::Closed | FeedEnd::EmulatorEnded) => return,
            Err(end) => break end.into(),
        }
    };
    shared.fail(end);
}
