//! Notifications in process and over TCP: events, subscribers, and the end of subscriptions.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use hcn::call::{Call, Reply};
use hcn::{Class, Event, Guid, Hcn, Kind, Subscription};
use hcn_emulator::service::Running;
use hcn_emulator::{Build, Emulator, Remote, Service};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(20);

struct Rig {
    emulator: Arc<Emulator>,
    service: Running,
}

impl Rig {
    fn new() -> Self {
        let emulator = Arc::new(Emulator::new("latest".parse::<Build>().unwrap()));
        let service = Service::bind("127.0.0.1:0", emulator.clone()).unwrap().spawn().unwrap();
        Self { emulator, service }
    }

    /// The emulator in process and over TCP.
    fn ways(&self) -> [Arc<dyn Hcn>; 2] {
        [self.emulator.clone(), Arc::new(Remote::connect_lazily(self.service.address().to_string()))]
    }
}

fn listen(hcn: &dyn Hcn) -> (Subscription, Receiver<(Event, String)>) {
    let (sender, receiver) = channel();
    let listener = Box::new(move |notification: hcn::Notification| {
        let _ = sender.send((notification.event, notification.document));
    });
    (hcn.subscribe(listener).unwrap(), receiver)
}

fn next(receiver: &Receiver<(Event, String)>) -> (Event, Option<Guid>) {
    let (event, document) = receiver.recv_timeout(BOUND).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap_or_default();
    (event, document.get("ID").and_then(Value::as_str).map(|id| id.parse().unwrap()))
}

fn create(hcn: &dyn Hcn, kind: Kind, id: Guid, mut settings: Value) {
    settings["SchemaVersion"] = json!({"Major": 2, "Minor": 0});
    let call = Call::Create { kind, network: None, id, settings: settings.to_string() };
    assert!(matches!(hcn.call(&call), Ok(Reply::Handle(_))));
}

#[test]
fn changes_of_networks_namespaces_and_attachments_are_notified() {
    let rig = Rig::new();
    for hcn in rig.ways() {
        let (_subscription, received) = listen(&hcn);
        let (network, namespace) = (Guid::new_v4(), Guid::new_v4());
        create(&hcn, Kind::Network, network, json!({"Name": network.to_string(), "Type": "NAT"}));
        create(&hcn, Kind::Namespace, namespace, json!({}));
        let pod = rig.emulator.add_local_endpoint(network, "pod", &["10.0.0.7".parse().unwrap()]);
        // Load balancers, whose creation fails here, and reads have no events.
        hcn.call(&Call::Enumerate { kind: Kind::Endpoint, query: String::new() }).unwrap();
        hcn.call(&Call::Delete { kind: Kind::Namespace, id: namespace }).unwrap();
        hcn.call(&Call::Delete { kind: Kind::Network, id: network }).unwrap();
        let expected = [
            (Event::NetworkPreCreate, network),
            (Event::NetworkCreate, network),
            (Event::NamespaceCreate, namespace),
            (Event::EndpointAttached, pod),
            (Event::NamespaceDelete, namespace),
            (Event::NetworkPreDelete, network),
            (Event::NetworkDelete, network),
        ];
        for (event, id) in expected {
            assert_eq!(next(&received), (event, Some(id)));
        }
    }
}

#[test]
fn an_ended_subscription_gets_no_notifications_and_drops_its_listener() {
    let rig = Rig::new();
    for hcn in rig.ways() {
        let (subscription, received) = listen(&hcn);
        let (_other, others) = listen(&hcn);
        create(&hcn, Kind::Namespace, Guid::new_v4(), json!({}));
        assert_eq!(next(&received).0, Event::NamespaceCreate);
        drop(subscription);
        create(&hcn, Kind::Namespace, Guid::new_v4(), json!({}));
        // The listener is dropped already, with its end of the channel.
        assert_eq!(received.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Disconnected));
        assert_eq!([next(&others).0, next(&others).0], [Event::NamespaceCreate; 2]);
    }
    let remote = Remote::connect_lazily(rig.service.address().to_string());
    for _ in 0..100 {
        drop(listen(&remote));
    }
    drop(remote);
    let start = Instant::now();
    while rig.service.clients() > 0 {
        assert!(start.elapsed() < BOUND, "timeout waiting for clients to disconnect");
        std::thread::yield_now();
    }
}

#[test]
fn a_stop_of_hns_is_notified_once_and_ends_subscriptions() {
    let rig = Rig::new();
    for hcn in rig.ways() {
        let (_subscription, received) = listen(&hcn);
        rig.emulator.stop(&[Kind::Namespace]);
        assert_eq!(next(&received), (Event::ServiceDisconnect, None));
        let error = hcn.subscribe(Box::new(|_| ())).unwrap_err();
        assert_eq!(error.class(), Class::Unavailable);
        rig.emulator.start();
        create(&hcn, Kind::Namespace, Guid::new_v4(), json!({}));
        let (_again, again) = listen(&hcn);
        create(&hcn, Kind::Namespace, Guid::new_v4(), json!({}));
        assert_eq!(next(&again).0, Event::NamespaceCreate);
        assert!(received.try_recv().is_err());
    }
}

#[test]
fn a_service_that_ends_is_a_disconnect_and_a_missing_one_is_unavailable() {
    let rig = Rig::new();
    let remote = Remote::connect_lazily(rig.service.address().to_string());
    let (_subscription, received) = listen(&remote);
    rig.service.stop();
    assert_eq!(next(&received), (Event::ServiceDisconnect, None));
    assert_eq!(remote.subscribe(Box::new(|_| ())).unwrap_err().class(), Class::Unavailable);
}

#[test]
fn a_listener_may_end_its_own_subscription() {
    let rig = Rig::new();
    for hcn in rig.ways() {
        let own: Arc<std::sync::Mutex<Option<Subscription>>> = Arc::default();
        let inner = own.clone();
        let (sender, receiver) = channel();
        let subscription = hcn.subscribe(Box::new(move |notification| {
            drop(inner.lock().unwrap().take());
            sender.send(notification.event).unwrap();
        }));
        *own.lock().unwrap() = Some(subscription.unwrap());
        create(&hcn, Kind::Namespace, Guid::new_v4(), json!({}));
        create(&hcn, Kind::Namespace, Guid::new_v4(), json!({}));
        assert_eq!(receiver.recv_timeout(BOUND), Ok(Event::NamespaceCreate));
        // The listener is dropped with its end of the channel.
        assert_eq!(receiver.recv_timeout(BOUND), Err(RecvTimeoutError::Disconnected));
    }
}
