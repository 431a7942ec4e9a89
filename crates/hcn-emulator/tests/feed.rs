//! The change feed: what subscribers receive, in the process and over TCP.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hcn::call::Call;
use hcn::{Guid, Hcn, Kind};
use hcn_emulator::control::ControlError;
use hcn_emulator::feed::{FeedEnd, What};
use hcn_emulator::{Change, ChangeFeed, Control, Emulator, Remote, Service, testing};
use serde_json::{Value, json};

const CAPACITY: usize = 100;

fn emulator() -> Emulator {
    Emulator::from_host(&testing::host("15.5", &["Overlay"])).unwrap()
}

/// A change without its time and document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Stored(Kind, Guid),
    Removed(Kind, Guid),
    Stopped,
    Started,
    InitialStateEnd,
}

fn seen(change: &Change) -> Seen {
    match &change.what {
        What::Stored { kind, id, .. } => Seen::Stored(*kind, *id),
        What::Removed { kind, id } => Seen::Removed(*kind, *id),
        What::ServiceStopped => Seen::Stopped,
        What::ServiceStarted => Seen::Started,
        What::InitialStateEnd => Seen::InitialStateEnd,
    }
}

/// All changes that wait.
fn changes(feed: &ChangeFeed) -> Vec<Change> {
    std::iter::from_fn(|| feed.try_recv().unwrap()).collect()
}

fn all_seen(feed: &ChangeFeed) -> Vec<Seen> {
    changes(feed).iter().map(seen).collect()
}

fn pod(emulator: &Emulator, address: &str) -> Guid {
    emulator.add_local_endpoint(testing::NETWORKS[0], "pod", &[address.parse().unwrap()])
}

fn balancer(backends: &[Guid]) -> Value {
    json!({"HostComputeEndpoints": backends, "FrontendVIPs": ["10.96.0.10"], "SchemaVersion": {"Major": 2, "Minor": 0},
           "PortMappings": [{"Protocol": 6, "InternalPort": 8080, "ExternalPort": 80}]})
}

fn namespace(hcn: &dyn Hcn) {
    let settings = json!({"SchemaVersion": {"Major": 2, "Minor": 0}}).to_string();
    hcn.call(&Call::Create { kind: Kind::Namespace, network: None, id: Guid::nil(), settings }).unwrap();
}

#[test]
fn a_subscriber_gets_the_state_and_then_each_change() {
    let emulator = emulator();
    let network = testing::NETWORKS[0];
    let first = pod(&emulator, "10.244.1.7");
    let feed = emulator.follow(CAPACITY);
    let initial = [Seen::Stored(Kind::Network, network), Seen::Stored(Kind::Endpoint, first), Seen::InitialStateEnd];
    assert_eq!(all_seen(&feed), initial);
    let second = pod(&emulator, "10.244.1.8");
    let id = emulator.add(Kind::LoadBalancer, balancer(&[first, second]));
    emulator.replace(Kind::LoadBalancer, id, balancer(&[second]));
    let now = changes(&feed);
    let [endpoint, created, modified] = now.as_slice() else { panic!("{now:?}") };
    assert_eq!(seen(endpoint), Seen::Stored(Kind::Endpoint, second));
    let What::Stored { document, .. } = &created.what else { panic!("{created:?}") };
    assert_eq!(document["HostComputeEndpoints"], json!([first, second]));
    let current = emulator.document(Kind::LoadBalancer, id).unwrap();
    assert_eq!(modified.what, What::Stored { kind: Kind::LoadBalancer, id, document: current });
    assert!(endpoint.at <= created.at && created.at <= modified.at, "{now:?}");
    emulator.remove(Kind::Network, network);
    let removed = [
        Seen::Removed(Kind::Network, network),
        Seen::Removed(Kind::Endpoint, first),
        Seen::Removed(Kind::Endpoint, second),
        Seen::Removed(Kind::LoadBalancer, id),
    ];
    assert_eq!(sorted(all_seen(&feed)), sorted(removed.to_vec()));
}

/// The order of the dependants of a network has no meaning.
fn sorted(mut seen: Vec<Seen>) -> Vec<String> {
    seen.iter_mut().map(|one| format!("{one:?}")).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

#[test]
fn a_call_that_changes_an_object_several_times_is_one_change_of_it() {
    let emulator = emulator();
    namespace(&emulator);
    let endpoint = pod(&emulator, "10.244.1.7");
    let ids = emulator.documents(Kind::Namespace);
    let namespace: Guid = ids[0]["ID"].as_str().unwrap().parse().unwrap();
    let feed = emulator.follow(CAPACITY);
    changes(&feed);
    let open = emulator.call(&Call::Open { kind: Kind::Namespace, id: namespace }).unwrap();
    let hcn::call::Reply::Handle(handle) = open else { panic!("{open:?}") };
    let settings = json!({"ResourceType": "Endpoint", "RequestType": "Add", "Settings": {"EndpointId": endpoint}});
    emulator.call(&Call::Modify { kind: Kind::Namespace, handle, settings: settings.to_string() }).unwrap();
    let now = changes(&feed);
    let stored = [(Kind::Namespace, namespace), (Kind::Endpoint, endpoint)].map(|(kind, id)| {
        let document = emulator.document(kind, id).unwrap();
        What::Stored { kind, id, document }
    });
    assert_eq!(now.into_iter().map(|change| change.what).collect::<Vec<_>>(), stored);
    // A rejected call, and one that finds nothing to remove, change nothing.
    emulator.call(&Call::Delete { kind: Kind::Endpoint, id: Guid::nil() }).unwrap_err();
    emulator.remove(Kind::LoadBalancer, Guid::nil());
    assert_eq!(all_seen(&feed), []);
}

#[test]
fn a_virtual_clock_makes_times_exact_and_delays_immediate() {
    let emulator = emulator().on_virtual_clock();
    emulator.delay("HcnCreateNamespace", Duration::from_secs(3600));
    let feed = emulator.follow(CAPACITY);
    emulator.advance(Duration::from_micros(5));
    namespace(&emulator);
    emulator.advance(Duration::from_micros(7));
    emulator.stop(&[]);
    let times: Vec<_> = changes(&feed).iter().map(|change| change.at.as_micros()).collect();
    assert_eq!(times, [0, 0, 3_600_000_005, 3_600_000_012]);
    assert_eq!(emulator.age(), Duration::from_micros(3_600_000_012));
}

#[test]
fn a_restart_and_what_it_loses_is_in_the_feed() {
    let emulator = emulator();
    let endpoint = pod(&emulator, "10.244.1.7");
    let id = emulator.add(Kind::LoadBalancer, balancer(&[endpoint]));
    let feed = emulator.follow(CAPACITY);
    changes(&feed);
    emulator.stop(&[Kind::LoadBalancer]);
    assert_eq!(all_seen(&feed), [Seen::Stopped, Seen::Removed(Kind::LoadBalancer, id)]);
    let late = all_seen(&emulator.follow(CAPACITY));
    assert_eq!(late[late.len() - 2..], [Seen::Stopped, Seen::InitialStateEnd]);
    emulator.stop(&[]);
    emulator.start();
    emulator.start();
    emulator.reappear();
    assert_eq!(all_seen(&feed), [Seen::Started, Seen::Stored(Kind::LoadBalancer, id)]);
}

#[test]
fn a_subscriber_that_is_too_slow_gets_an_error() {
    let emulator = emulator();
    let feed = emulator.follow(2);
    let expected: Vec<Guid> = (1..=4).map(|last| pod(&emulator, &format!("10.244.1.{}", 10 + last))).collect();
    let mut received = Vec::new();
    let end = loop {
        match feed.try_recv() {
            Ok(change) => received.extend(change.as_ref().map(seen)),
            Err(end) => break end,
        }
    };
    assert_eq!(end, FeedEnd::TooSlow { capacity: 2 });
    // The initial state does not count.
    let [network, marker, rest @ ..] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!([*network, *marker], [Seen::Stored(Kind::Network, testing::NETWORKS[0]), Seen::InitialStateEnd]);
    assert_eq!(rest, expected[..2].iter().map(|id| Seen::Stored(Kind::Endpoint, *id)).collect::<Vec<_>>());
    // The error stays.
    assert_eq!(feed.recv(), Err(end));
}

#[test]
fn a_waiting_subscriber_is_woken_at_the_end() {
    let emulator = emulator();
    for end in [FeedEnd::Closed, FeedEnd::EmulatorEnded] {
        let emulator = Emulator::from_host(&emulator.to_host(&testing::host("15.5", &[]))).unwrap();
        let feed = emulator.follow(CAPACITY);
        let closer = feed.closer();
        let waiter = thread::spawn(move || {
            loop {
                if let Err(end) = feed.recv() {
                    return end;
                }
            }
        });
        match end {
            FeedEnd::Closed => closer.close(),
            _ => drop(emulator),
        }
        assert_eq!(waiter.join().unwrap(), end);
    }
}

#[test]
fn the_feed_over_tcp_is_that_in_process() {
    let emulator = Arc::new(emulator());
    pod(&emulator, "10.244.1.7");
    let service = Service::bind("127.0.0.1:0", emulator.clone()).unwrap().spawn().unwrap();
    let address = service.address().to_string();
    let control = Control::connect_lazily(address.as_str());
    let mut there = control.follow().unwrap();
    let here = emulator.follow(CAPACITY);
    namespace(&Remote::connect_lazily(address.as_str()));
    control.stop(&[Kind::Endpoint]).unwrap();
    control.start().unwrap();
    control.reappear().unwrap();
    for expected in changes(&here) {
        let mut received = there.recv().unwrap();
        // The initial states are of different moments.
        received.at = received.at.max(expected.at);
        assert_eq!(received, expected);
    }
    // The service ends the feed with itself, and the emulator ends its subscriptions.
    service.stop();
    assert!(matches!(there.recv(), Err(ControlError::Unavailable(_) | ControlError::FeedEnded(_))));
    drop(emulator);
    assert_eq!(here.recv(), Err(FeedEnd::EmulatorEnded));
}

#[test]
fn a_client_that_does_not_read_delays_no_other_and_gets_an_error() {
    let emulator = Arc::new(emulator());
    let service = Service::bind("127.0.0.1:0", emulator.clone()).unwrap().spawn().unwrap();
    let control = Control::connect_lazily(service.address().to_string());
    let mut feed = control.follow().unwrap();
    let id = emulator.add(Kind::Namespace, json!({}));
    // More than the buffers of both sockets and the queue can take.
    let document = json!({"Name": "n".repeat(200)});
    for _ in 0..120_000 {
        emulator.replace(Kind::Namespace, id, document.clone());
    }
    let mut received = 0;
    let end = loop {
        match feed.recv() {
            Ok(_) => received += 1,
            Err(end) => break end,
        }
    };
    assert!(matches!(end, ControlError::FeedEnded(FeedEnd::TooSlow { capacity: 65_536 })), "{received}: {end:?}");
    assert!(received > 65_536, "{received}");
}
