//! Notifications: the events of each change, and their subscribers.
//!
//! The kinds of events are documented. Assumed: a notification has the document `{"ID":…,"Flags":0}`, the deletion of an attached endpoint
//! counts as its detachment, and objects that disappear at a stop have no events. Each subscriber has a thread, which delivers events in order.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;

use hcn::notification::{Gate, Listener, Notification, Subscription};
use hcn::{Error, Event, Guid, Hresult, Kind};
use serde_json::json;

/// The events of a created object. Load balancers, endpoints and routes have none.
pub(crate) fn created(kind: Kind) -> &'static [Event] {
    match kind {
        Kind::Network => &[Event::NetworkPreCreate, Event::NetworkCreate],
        Kind::Namespace => &[Event::NamespaceCreate],
        Kind::Endpoint | Kind::LoadBalancer | Kind::Route => &[],
    }
}

/// The events of a deleted object.
pub(crate) fn deleted(kind: Kind) -> &'static [Event] {
    match kind {
        Kind::Network => &[Event::NetworkPreDelete, Event::NetworkDelete],
        Kind::Namespace => &[Event::NamespaceDelete],
        Kind::Endpoint | Kind::LoadBalancer | Kind::Route => &[],
    }
}

#[derive(Debug, Default)]
pub(crate) struct Subscribers(Vec<Subscriber>);

#[derive(Debug)]
struct Subscriber {
    gate: Arc<Gate>,
    /// To the thread of the subscriber, which ends with `None` or when this is dropped.
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
        // Fails if the thread has ended.
        let _ = self.sender.send(None);
    }
}

impl Subscribers {
    pub(crate) fn add(&mut self, listener: Listener) -> Result<Subscription, Error> {
        self.forget_closed();
        let gate = Gate::new(listener);
        let (sender, receiver) = mpsc::channel();
        let open = gate.clone();
        let deliver =
            move || receiver.into_iter().map_while(|notification| notification).for_each(|one| open.deliver(one));
        let spawned = thread::Builder::new().name("emulator-notify".into()).spawn(deliver);
        spawned.map_err(|_| Error::hns("HcnRegisterServiceCallback", Hresult::E_OUTOFMEMORY))?;
        self.0.push(Subscriber { gate: gate.clone(), sender: sender.clone() });
        Ok(Subscription::new(Guard { gate, sender }))
    }

    pub(crate) fn tell(&mut self, happened: impl Iterator<Item = (Event, Guid)>) {
        for (event, id) in happened {
            self.forget_closed();
            self.send(event, json!({"ID": id, "Flags": 0}).to_string());
        }
    }

    /// Notifies subscribers of the stop of the service, and ends all subscriptions.
    pub(crate) fn disconnect(&mut self) {
        self.send(Event::ServiceDisconnect, String::new());
        self.0.clear();
    }

    fn send(&self, event: Event, document: String) {
        let notification = Notification { event, status: Hresult::S_OK, document };
        for subscriber in &self.0 {
            // Fails if the thread has ended.
            let _ = subscriber.sender.send(Some(notification.clone()));
        }
    }

    fn forget_closed(&mut self) {
        self.0.retain(|subscriber| !subscriber.gate.is_closed());
    }
}
