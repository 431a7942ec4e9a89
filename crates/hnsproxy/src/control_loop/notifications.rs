//! The subscription to HNS notifications.

use std::sync::Arc;

use cluster_source::error_chain;
use hcn::Subscription;
use tracing::debug;

use super::event::{Event, EventQueue};
use crate::hns::Hns;

pub(super) struct Notifications {
    hns: Arc<Hns>,
    events: EventQueue,
    subscription: Option<Subscription>,
    /// False if this HNS has no notifications.
    supported: bool,
}

impl Notifications {
    pub(super) fn new(hns: Arc<Hns>, events: EventQueue) -> Self {
        Self { hns, events, subscription: None, supported: true }
    }

    /// Subscribes, unless that is done or HNS has no notifications.
    pub(super) fn subscribe(&mut self) {
        if self.subscription.is_some() || !self.supported {
            return;
        }
        let events = self.events.clone();
        let notify = move |notification: hcn::Notification| events.send(Event::Hns(notification.event));
        match self.hns.hcn().subscribe(Box::new(notify)) {
            Ok(subscription) => self.subscription = Some(subscription),
            // Not a failure: audits find the same changes later.
            Err(error) => {
                debug!("cannot subscribe to HNS notifications: {}", error_chain(&error));
                self.supported = !matches!(error, hcn::Error::Missing { .. });
            }
        }
    }

    /// The service of HNS has stopped, and the subscription with it.
    pub(super) fn disconnected(&mut self) {
        self.subscription = None;
    }
}
