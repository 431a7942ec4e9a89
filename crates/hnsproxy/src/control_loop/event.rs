//! What wakes the control loop.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use cluster_source::Batch;

use crate::config;
use crate::serve::ExplainRequest;
use crate::source::Origin;
use crate::status::StatusStore;

pub enum Event {
    /// The cluster has changed.
    Cluster(Origin, Batch),
    /// The configuration file has changed.
    Config(config::Change),
    /// HNS sent a notification.
    Hns(hcn::Event),
    /// An HTTP client requests the explanation of a Service.
    Explain(ExplainRequest),
    Shutdown,
}

/// Sends events to the control loop, from any thread.
#[derive(Clone)]
pub struct EventSender {
    sender: Sender<Event>,
    store: Arc<StatusStore>,
}

impl EventSender {
    pub fn new(sender: Sender<Event>, store: Arc<StatusStore>) -> Self {
        Self { sender, store }
    }

    pub fn send(&self, event: Event) {
        // Recorded here and not by the loop: while an HNS call blocks the loop, the age of a change has to count.
        if matches!(event, Event::Cluster(..)) {
            self.store.change_queued();
        }
        // The loop is gone only during shutdown, when events no longer matter.
        let _ = self.sender.send(event);
    }
}
