//! Notifications: what HNS tells of which change, and to whom.
//!
//! Which events there are is documented; that a notification carries `{"ID":…,"Flags":0}`, that an attached endpoint which is deleted
//! counts as detached, and that what a stop has lost is not told, is assumed. Each subscriber has a thread that tells it, one thing
//! at a time and in the order in which things happened.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;

use hcn::notification::{Gate, Listener, Notification, Subscription};
use hcn::{Error, Event, Guid, Hresult, Kind};
use serde_json::json;

/// What is told of a new object. Nothing is of load balancers, endpoints and routes.
pub(crate) fn created(kind: Kind) -> &'static [Event] {
    match kind {
        Kind::Network => &[Event::NetworkPreCreate, Event::NetworkCreate],
        Kind::Namespace => &[Event::NamespaceCreate],
        Kind::Endpoint | Kind::LoadBalancer | Kind::Route => &[],
    }
}

/// What is told of an object that went.
pub(crate) fn deleted(kind: Kind) -> &'static [Event] {
    match kind {
        Kind::Network => &[Event::NetworkPreDelete, Event::NetworkDelete],
        Kind::Namespace => &[Event::NamespaceDelete],
        Kind::Endpoint | Kind::LoadBalancer | Kind::Route => &[],
    }
}

/// Who is told.
#[derive(Debug, Default)]
pub(crate) struct Subscribers(Vec<Subscriber>);

#[derive(Debug)]
struct Subscriber {
    gate: Arc<Gate>,
    /// To the thread that tells it, which ends by `None` or when this is dropped.
    sender: Sender<Option<Notification>>,
}

/// Ends a subscription when dropped.
struct Guard {
    gate: Arc<Gate>,
    sender: Sender<Option<Notification>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.gate.close();
        // The thread may have ended before.
        let _ = self.sender.send(None);
    }
}

impl Subscribers {
    /// Takes a subscriber.
    pub(crate) fn add(&mut self, listener: Listener) -> Result<Subscription, Error> {
        self.forget_closed();
        let gate = Gate::new(listener);
        let (sender, receiver) = mpsc::channel();
        let told = gate.clone();
        let tell = move || receiver.into_iter().map_while(|what| what).for_each(|what| told.deliver(what));
        let spawned = thread::Builder::new().name("emulator-notify".into()).spawn(tell);
        spawned.map_err(|_| Error::hns("HcnRegisterServiceCallback", Hresult::E_OUTOFMEMORY))?;
        self.0.push(Subscriber { gate: gate.clone(), sender: sender.clone() });
        Ok(Subscription::new(Guard { gate, sender }))
    }

    /// Tells of what happened.
    pub(crate) fn tell(&mut self, happened: impl Iterator<Item = (Event, Guid)>) {
        for (event, id) in happened {
            self.forget_closed();
            self.send(event, json!({"ID": id, "Flags": 0}).to_string());
        }
    }

    /// Tells of the end of the service, and ends all subscriptions.
    pub(crate) fn disconnect(&mut self) {
        self.send(Event::ServiceDisconnect, String::new());
        self.0.clear();
    }

    fn send(&self, event: Event, document: String) {
        let notification = Notification { event, status: Hresult::S_OK, document };
        for subscriber in &self.0 {
            // A thread that is gone has nobody to tell.
            let _ = subscriber.sender.send(Some(notification.clone()));
        }
    }

    fn forget_closed(&mut self) {
        self.0.retain(|subscriber| !subscriber.gate.is_closed());
    }
}
