//! The subscription to HNS notifications.

use std::sync::Arc;
use std::thread;

use cluster_source::error_chain;
use hcn::Subscription;
use hcn::call::Hcn;
use tracing::debug;

use super::event::{Event, EventQueue};

pub(super) struct Notifications {
    hcn: Arc<dyn Hcn>,
    events: EventQueue,
    subscription: Option<Subscription>,
    /// False if this HNS has no notifications.
    supported: bool,
}

impl Notifications {
    pub(super) fn new(hcn: Arc<dyn Hcn>, events: EventQueue) -> Self {
        Self { hcn, events, subscription: None, supported: true }
    }

    /// Subscribes, unless that is done or HNS has no notifications.
    pub(super) fn subscribe(&mut self) {
        if self.subscription.is_some() || !self.supported {
            return;
        }
        let events = self.events.clone();
        let notify = move |notification: hcn::Notification| events.send(Event::Hns(notification.event));
        match self.hcn.subscribe(Box::new(notify)) {
            Ok(subscription) => self.subscription = Some(subscription),
            // Not a failure: audits find the same changes later.
            Err(error) => {
                debug!("cannot subscribe to HNS notifications: {}", error_chain(&error));
                self.supported = !matches!(error, hcn::Error::Missing { .. });
            }
        }
    }

    /// Drops the subscription after the HNS service has stopped. Does not wait for HNS: the call that ends the subscription can hang.
    pub(super) fn disconnected(&mut self) {
        let Some(subscription) = self.subscription.take() else { return };
        // Without a thread, the subscription is dropped here.
        let _ = thread::Builder::new().name("hns-unsubscribe".into()).spawn(move || drop(subscription));
    }
}

/// The end of the control loop, and its restart with another configuration, must not wait for the call either.
impl Drop for Notifications {
    fn drop(&mut self) {
        self.disconnected();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use hcn::Error;
    use hcn::call::{Call, Reply};
    use hcn::notification::Listener;

    use super::*;
    use crate::clock::Clock;
    use crate::status::StatusStore;

    /// A subscription whose end waits for a message, and then sends one.
    struct Hangs(Mutex<Receiver<()>>, Sender<()>);

    impl Drop for Hangs {
        fn drop(&mut self) {
            let _ = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).recv();
            self.1.send(()).unwrap();
        }
    }

    struct Fake(Mutex<Option<Hangs>>);

    impl Hcn for Fake {
        fn call(&self, call: &Call) -> Result<Reply, Error> {
            Err(Error::Missing { what: call.function().to_owned(), reason: String::new() })
        }

        fn subscribe(&self, _: Listener) -> Result<Subscription, Error> {
            Ok(Subscription::new(self.0.lock().unwrap().take()))
        }
    }

    #[test]
    fn a_hanging_unsubscribe_delays_nothing() {
        let (release, released) = channel();
        let (ended, wait) = channel();
        let fake = Fake(Mutex::new(Some(Hangs(Mutex::new(released), ended))));
        let events = EventQueue::new(Arc::new(StatusStore::new(Clock::new(), Duration::MAX)));
        let mut notifications = Notifications::new(Arc::new(fake), events);
        notifications.subscribe();
        notifications.disconnected();
        // It would not be reached.
        release.send(()).unwrap();
        wait.recv().unwrap();
    }
}
