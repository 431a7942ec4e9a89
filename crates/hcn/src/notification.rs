//! Notifications of HNS and their subscribers.
//!
//! [`Hcn::subscribe`](crate::Hcn::subscribe) calls a [`Listener`] until the [`Subscription`] is dropped. Use notifications only to
//! shorten a wait: HNS reports few kinds of events, and those that occur without a subscriber are lost. The events are those of
//! [`HCN_NOTIFICATIONS`](https://learn.microsoft.com/virtualization/api/hcn/Reference/HCN_NOTIFICATIONS).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use serde::{Deserialize, Serialize};

use crate::Hresult;

macro_rules! events {
    ($($(#[doc = $doc:literal])* $name:ident = $value:literal;)*) => {
        /// A kind of event. HNS has none for load balancers, and none for the creation and deletion of endpoints.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "u32", into = "u32")]
        pub enum Event {
            $($(#[doc = $doc])* $name,)*
            /// An unknown event, by its number.
            Other(u32),
        }

        impl From<u32> for Event {
            fn from(number: u32) -> Self {
                match number { $($value => Event::$name,)* other => Event::Other(other) }
            }
        }

        impl From<Event> for u32 {
            fn from(event: Event) -> Self {
                match event { $(Event::$name => $value,)* Event::Other(number) => number }
            }
        }
    };
}

events! {
    /// A network is about to be created.
    NetworkPreCreate = 1;
    /// A network was created.
    NetworkCreate = 2;
    /// A network is about to be deleted.
    NetworkPreDelete = 3;
    /// A network was deleted.
    NetworkDelete = 4;
    /// A namespace was created.
    NamespaceCreate = 5;
    /// A namespace was deleted.
    NamespaceDelete = 6;
    /// A guest network service was created.
    GuestNetworkServiceCreate = 7;
    /// A guest network service was deleted.
    GuestNetworkServiceDelete = 8;
    /// An endpoint was attached.
    EndpointAttached = 9;
    /// An endpoint was detached.
    EndpointDetached = 0x10;
    /// A guest network service changed its state.
    GuestNetworkServiceStateChanged = 0x11;
    /// An interface of a guest network service changed its state.
    GuestNetworkServiceInterfaceStateChanged = 0x12;
    /// HNS stopped. No notification follows.
    ServiceDisconnect = 0x0100_0000;
}

/// One notification of HNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The event.
    pub event: Event,
    /// The result of the operation that caused the event.
    pub status: Hresult,
    /// The document of the notification as JSON, `{"ID":…}`; empty if there is none.
    pub document: String,
}

/// Called for each notification.
pub type Listener = Box<dyn Fn(Notification) + Send + Sync>;

/// Ends a subscription when dropped. The listener is not called afterwards: the drop waits for a call in progress, unless the listener
/// itself drops the subscription.
#[must_use = "dropping it ends the subscription"]
pub struct Subscription {
    _guard: Box<dyn Send + Sync>,
}

impl Subscription {
    /// Creates a subscription that `guard` ends when it is dropped.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self { _guard: Box::new(guard) }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// Serializes the calls of a listener, and stops them once it is [closed](Self::close).
///
/// It catches panics of the listener. A notification that the listener itself delivers is dropped.
pub struct Gate {
    listener: Mutex<Option<Listener>>,
    closed: AtomicBool,
    /// Whether the listener itself closed the gate. A running listener cannot be dropped, so that happens after it returns.
    closed_inside: AtomicBool,
    /// The thread that runs the listener.
    inside: Mutex<Option<ThreadId>>,
}

impl Gate {
    /// Creates an open gate.
    pub fn new(listener: Listener) -> Arc<Self> {
        Arc::new(Self {
            listener: Mutex::new(Some(listener)),
            closed: AtomicBool::new(false),
            closed_inside: AtomicBool::new(false),
            inside: Mutex::default(),
        })
    }

    /// Calls the listener, unless the gate is closed.
    pub fn deliver(&self, notification: Notification) {
        if self.is_closed() || self.is_inside() {
            return;
        }
        let mut listener = lock(&self.listener);
        if let Some(call) = listener.as_ref().filter(|_| !self.is_closed()) {
            *lock(&self.inside) = Some(thread::current().id());
            // The panic hook has already printed the panic.
            let _ = catch_unwind(AssertUnwindSafe(|| call(notification)));
            *lock(&self.inside) = None;
        }
        // Another thread that closes the gate waits for the lock and drops the listener itself.
        let last = listener.take_if(|_| self.closed_inside.load(Ordering::SeqCst));
        drop(listener);
        drop(last);
    }

    /// Closes the gate. Waits for a call in progress, unless the listener itself closes it.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        if self.is_inside() {
            self.closed_inside.store(true, Ordering::SeqCst);
        } else {
            let last = lock(&self.listener).take();
            // Dropped without the lock, since what the listener owns may do anything in its own drop.
            drop(last);
        }
    }

    /// Whether the gate is closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn is_inside(&self) -> bool {
        *lock(&self.inside) == Some(thread::current().id())
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A listener's panic is caught while the lock is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn notification(number: u32) -> Notification {
        Notification { event: Event::from(number), status: Hresult::S_OK, document: String::new() }
    }

    #[test]
    fn closing_a_gate_waits_for_the_call_in_progress_and_stops_later_calls() {
        let (entered, enters) = channel();
        let (leave, leaves) = channel::<()>();
        let leaves = Mutex::new(leaves);
        let (done, dones) = channel();
        let gate = Gate::new(Box::new(move |_| {
            entered.send(()).unwrap();
            leaves.lock().unwrap().recv().unwrap();
            done.send(()).unwrap();
        }));
        thread::scope(|scope| {
            let gate = &gate;
            scope.spawn(move || gate.deliver(notification(1)));
            enters.recv().unwrap();
            let closing = scope.spawn(move || {
                gate.close();
                dones.try_recv().is_ok()
            });
            leave.send(()).unwrap();
            assert!(closing.join().unwrap(), "closing did not wait");
        });
        gate.deliver(notification(2));
        assert!(enters.recv().is_err(), "the listener was not dropped");
    }

    #[test]
    fn a_listener_may_close_its_own_gate_deliver_and_panic() {
        let (sender, receiver) = channel();
        let own: Arc<Mutex<Option<Arc<Gate>>>> = Arc::default();
        let inner = own.clone();
        let gate = Gate::new(Box::new(move |notification| {
            sender.send(notification.event).unwrap();
            let gate = inner.lock().unwrap().clone().unwrap();
            gate.deliver(notification.clone());
            if notification.event == Event::NetworkDelete {
                gate.close();
            }
            panic!("on purpose");
        }));
        *own.lock().unwrap() = Some(gate.clone());
        [2, 4, 2].into_iter().for_each(|number| gate.deliver(notification(number)));
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [Event::NetworkCreate, Event::NetworkDelete]);
    }

    #[test]
    fn events_convert_to_and_from_numbers_and_unknown_numbers_are_kept() {
        assert_eq!(Event::from(4), Event::NetworkDelete);
        assert_eq!(Event::from(0x10), Event::EndpointDetached);
        assert_eq!(Event::from(0x0100_0000), Event::ServiceDisconnect);
        assert_eq!(Event::from(0xf000_0001), Event::Other(0xf000_0001));
        for number in [1, 9, 0x10, 0x12, 0x0100_0000, 7_000] {
            assert_eq!(u32::from(Event::from(number)), number);
        }
    }
}
