//! Another program writes the same objects: another hnsproxy with other views, kube-proxy, a script that deletes. The writes are bounded, the
//! other program is named, and all ends when it stops. Restarts of HNS and the CNI do not count as another program.

use std::time::Duration;

use hcn::{ApiVersion, Kind};
use proxy::testing::{backend, service, slice};
use proxy::{ForeignWriter, HostCondition, Writer};
use serde_json::json;

use crate::calls::cluster;
use crate::rig::{NETWORK, Rig};

/// The default of `--hns-audit-interval`.
const AUDIT_INTERVAL: u64 = 5;

/// A process that follows its timers.
struct Process {
    rig: Rig,
    next_audit: Duration,
    next_run: Option<Duration>,
}

impl Process {
    fn new(rig: Rig) -> Self {
        Self { rig, next_audit: Duration::ZERO, next_run: Some(Duration::ZERO) }
    }

    /// Does what is due. Returns the number of writes.
    fn advance(&mut self, now: Duration) -> u64 {
        let before = self.rig.emulator.writes();
        self.rig.now = now;
        let audit = now >= self.next_audit;
        if audit {
            let _ = self.rig.proxy.audit(&self.rig.client);
            self.next_audit = now + Duration::from_secs(AUDIT_INTERVAL);
        }
        if audit || self.next_run.is_some_and(|due| now >= due) {
            self.next_run = match self.rig.run().next {
                proxy::Next::At(due) => Some(due),
                proxy::Next::Idle => None,
            };
        }
        self.rig.emulator.writes() - before
    }

    /// Advances second by second, and returns the writes of each minute. `other` acts before each second.
    fn minutes(&mut self, minutes: u64, mut other: impl FnMut(u64)) -> Vec<u64> {
        let start = self.rig.now.as_secs();
        let minute = |minute: u64| {
            let first = start + minute * 60;
            (first..first + 60)
                .map(|second| {
                    other(second);
                    self.advance(Duration::from_secs(second))
                })
                .sum()
        };
        (0..minutes).map(minute).collect()
    }

    fn foreign_writer(&self) -> Option<ForeignWriter> {
        self.rig.proxy.host_conditions().into_iter().find_map(|condition| match condition {
            HostCondition::ForeignWriter(foreign_writer) => Some(foreign_writer),
            _ => None,
        })
    }

    /// Advances until the other program is forgotten, and checks that this takes as long as it may.
    #[track_caller]
    fn expect_end(&mut self, objects: &[String]) {
        self.minutes(4, |_| {});
        assert_eq!(self.foreign_writer(), None);
        assert!(self.rig.proxy.is_in_sync());
        assert_eq!(self.rig.proxy.progress().contended, 0);
        assert_eq!(self.rig.objects(), objects);
        // Three losses are needed again, and a single one is repaired at once.
        self.rig.calls();
        remove_all(&self.rig, Kind::LoadBalancer);
        self.minutes(1, |_| {});
        assert_eq!(self.rig.objects(), objects);
    }
}

fn remove_all(rig: &Rig, kind: Kind) {
    let documents = rig.emulator.documents(kind);
    let remote = |document: &&serde_json::Value| kind == Kind::LoadBalancer || document["Flags"] == 1;
    let ids = documents.iter().filter(remote).map(|document| document["ID"].as_str().unwrap().parse().unwrap());
    ids.for_each(|id| rig.emulator.remove(kind, id));
}

/// A node with this number of Services, each with one backend, in sync.
fn node(services: u32) -> Process {
    let mut rig = Rig::l2bridge();
    let (services, slices) = cluster(services, 1);
    rig.cluster(services, slices);
    let mut process = Process::new(rig);
    process.minutes(1, |_| {});
    assert!(process.rig.proxy.is_in_sync());
    process
}

#[test]
fn a_script_that_rarely_deletes_everything_is_reported_and_delays_nothing() {
    let mut process = node(10);
    let (rig, objects) = (Rig::on(process.rig.emulator.clone(), ApiVersion::V2), process.rig.objects());
    let mut unready = 0;
    let found =
        |process: &Process| process.rig.proxy.host_conditions().iter().map(HostCondition::reason).collect::<Vec<_>>();
    for (deletion, expected) in [&[][..], &[], &["RepeatedLoss"], &["RepeatedLoss"]].into_iter().enumerate() {
        remove_all(&rig, Kind::LoadBalancer);
        remove_all(&rig, Kind::Endpoint);
        process.minutes(1, |_| {});
        unready += usize::from(!process.rig.proxy.is_in_sync());
        assert_eq!(
            (found(&process), process.rig.objects()),
            (expected.to_vec(), objects.clone()),
            "deletion {deletion}"
        );
        process.minutes(9, |_| {});
    }
    assert_eq!(unready, 0);
    process.minutes(60, |_| {});
    assert_eq!(found(&process), [""; 0]);
}

/// The maximum number of writes for each object that another program keeps writing: in the first minute, and in each further one.
const FIRST: u64 = 12;
const FURTHER: u64 = 3;

#[test]
fn two_proxies_with_different_views_delay_their_repairs() {
    for version in ["15.5", "14.0"] {
        let mut first = Process::new(Rig::new("L2Bridge", version, ApiVersion::V2));
        let mut second = Process::new(Rig::on(first.rig.emulator.clone(), ApiVersion::V2));
        for (process, last, own) in [(&mut first, 1, 2), (&mut second, 2, 3)] {
            // One Service with other backends, and one that the other does not know.
            let web = service("ns/web").cluster_ip("10.96.0.1").port(80).build();
            let own = service("ns/own").cluster_ip(&format!("10.96.0.{own}")).port(80).build();
            let backends = |name: &str| {
                slice(&format!("{name}-1"), name).port(80).backend(backend(&format!("10.244.2.{last}"))).build()
            };
            process.rig.cluster(vec![web, own], vec![backends("ns/web"), backends("ns/own")]);
        }
        let start = 1;
        let mut writes = vec![0; 10];
        for second_of in start..start + 600 {
            let now = Duration::from_secs(second_of);
            writes[usize::try_from((second_of - start) / 60).unwrap()] += first.advance(now) + second.advance(now);
        }
        // Three load balancers and two endpoints, and two writers.
        assert!(writes[0] <= 5 * 2 * FIRST, "{version}: {writes:?}");
        assert!(writes[5..].iter().all(|writes| *writes <= 5 * 2 * FURTHER), "{version}: {writes:?}");
        for process in [&first, &second] {
            assert_eq!(process.foreign_writer().map(|found| found.writer), Some(Writer::Hnsproxy), "{version}");
        }
        drop(second);
        first.expect_end(&[
            "lb 10.96.0.1:80/6 -> 10.244.2.1:80 flags 1/0".to_owned(),
            "lb 10.96.0.2:80/6 -> 10.244.2.1:80 flags 1/0".to_owned(),
            "remote 10.244.2.1".to_owned(),
        ]);
    }
}

#[test]
fn a_script_that_deletes_everything_again_and_again_is_not_followed() {
    let mut process = node(10);
    let objects = process.rig.objects();
    let emulator = process.rig.emulator.clone();
    let delete = |second: u64| {
        if second.is_multiple_of(7) {
            let rig = Rig::on(emulator.clone(), ApiVersion::V2);
            remove_all(&rig, Kind::LoadBalancer);
            remove_all(&rig, Kind::Endpoint);
        }
    };
    let writes = process.minutes(6, delete);
    assert!(writes[0] <= 20 * FIRST && writes[3..].iter().all(|writes| *writes <= 20 * FURTHER), "{writes:?}");
    let found = process.foreign_writer().unwrap();
    assert_eq!((found.object.as_str(), found.times, found.others), ("10.96.0.1:80/TCP", 3, 19));
    assert_eq!(found.writer, Writer::Unknown);
    assert_eq!(process.rig.proxy.progress().contended, 20);
    // The last repairs are due after at most 72 s. Then the node is ready, although the script may run again.
    process.minutes(2, |_| {});
    assert!(process.rig.proxy.is_in_sync() && process.foreign_writer().is_some());
    process.expect_end(&objects);
}

#[test]
fn an_object_that_hns_lists_late_does_not_show_another_hnsproxy() {
    let mut process = node(10);
    let emulator = process.rig.emulator.clone();
    let documents = emulator.documents(Kind::LoadBalancer);
    let id = documents[0]["ID"].as_str().unwrap().parse().unwrap();
    process.minutes(4, |second| match second % 10 {
        1 => emulator.remove(Kind::LoadBalancer, id),
        // Only what was not created again yet.
        4 if emulator.document(Kind::LoadBalancer, id).is_none() => {
            emulator.add(Kind::LoadBalancer, documents[0].clone());
        }
        _ => {}
    });
    assert_eq!(process.foreign_writer().map(|found| found.writer), Some(Writer::Unknown));
}

#[test]
fn kube_proxy_on_the_same_hns_is_named_with_its_load_balancers() {
    let mut process = node(2);
    let objects = process.rig.objects();
    let emulator = process.rig.emulator.clone();
    // It deletes the load balancer of the Service, and creates its own with another backend.
    let kube_proxy = |second: u64| {
        if second.is_multiple_of(10) {
            for document in emulator.documents(Kind::LoadBalancer) {
                if document["FrontendVIPs"][0] == "10.96.0.1" {
                    emulator.remove(Kind::LoadBalancer, document["ID"].as_str().unwrap().parse().unwrap());
                }
            }
            let endpoint = emulator.add(
                Kind::Endpoint,
                json!({"HostComputeNetwork": NETWORK, "Flags": 1, "MacAddress": "02-11-00-00-00-09",
                       "IpConfigurations": [{"IpAddress": format!("10.244.9.{}", second % 200)}]}),
            );
            emulator.add(
                Kind::LoadBalancer,
                json!({"HostComputeEndpoints": [endpoint], "FrontendVIPs": ["10.96.0.1"], "Flags": 0,
                       "PortMappings": [{"Protocol": 6, "InternalPort": 81, "ExternalPort": 80}]}),
            );
        }
    };
    let writes = process.minutes(6, kube_proxy);
    assert!(writes[0] <= 2 * FIRST && writes[3..].iter().all(|writes| *writes <= 2 * FURTHER), "{writes:?}");
    let found = process.foreign_writer().unwrap();
    assert_eq!((found.object.as_str(), found.others), ("10.96.0.1:80/TCP", 0));
    let Writer::KubeProxy { load_balancers } = found.writer else { panic!("{found:?}") };
    assert_eq!(load_balancers.len(), 1);
    // The other Service is served all the time.
    assert!(process.rig.objects().contains(&"lb 10.96.0.2:80/6 -> 11.0.0.65:8080 flags 1/0".to_owned()));
    process.minutes(4, |_| {});
    assert_eq!((process.foreign_writer(), process.rig.proxy.is_in_sync()), (None, true));
    let ours: Vec<_> = process.rig.objects().into_iter().filter(|line| !line.contains("10.244.9.")).collect();
    assert_eq!(ours, objects);
}

#[test]
fn a_change_of_the_cluster_reaches_a_contended_frontend_at_the_next_repair() {
    let mut process = node(1);
    let emulator = process.rig.emulator.clone();
    let rig = Rig::on(emulator, ApiVersion::V2);
    process.minutes(4, |second| {
        if second.is_multiple_of(5) {
            remove_all(&rig, Kind::LoadBalancer);
        }
    });
    process.rig.proxy.apply_slice(
        slice("default/svc-0-x", "default/svc-0").port(8080).backend(backend("11.0.0.9").on("there")).build(),
    );
    process.minutes(2, |_| {});
    assert_eq!(process.rig.objects(), ["lb 10.96.0.1:80/6 -> 11.0.0.9:8080 flags 1/0", "remote 11.0.0.9"]);
}

#[test]
fn restarts_of_hns_and_of_the_cni_are_no_other_program() {
    // HNS is unavailable for some seconds each time, and lists its objects late.
    let mut process = node(10);
    let emulator = process.rig.emulator.clone();
    process.minutes(5, |second| match second % 30 {
        0 => emulator.stop(&[Kind::LoadBalancer, Kind::Endpoint]),
        6 => emulator.start(),
        13 => emulator.reappear(),
        _ => {}
    });
    assert_eq!((process.foreign_writer(), process.rig.proxy.is_in_sync()), (None, true));

    // HNS restarts between two audits, and only its notifications show it.
    let mut process = node(10);
    let (objects, start) = (process.rig.objects(), process.rig.now.as_secs() + 1);
    let rig = Rig::on(process.rig.emulator.clone(), ApiVersion::V2);
    for restart in 0..10 {
        process.rig.proxy.record_disconnect();
        remove_all(&rig, Kind::LoadBalancer);
        remove_all(&rig, Kind::Endpoint);
        (0..10).for_each(|second| {
            process.advance(Duration::from_secs(start + restart * 10 + second));
        });
        assert_eq!((process.foreign_writer(), process.rig.objects()), (None, objects.clone()));
    }

    // A single loss of everything that no call shows.
    let mut process = node(10);
    let rig = Rig::on(process.rig.emulator.clone(), ApiVersion::V2);
    let objects = process.rig.objects();
    remove_all(&rig, Kind::LoadBalancer);
    remove_all(&rig, Kind::Endpoint);
    process.minutes(1, |_| {});
    assert_eq!((process.foreign_writer(), process.rig.objects()), (None, objects));

    // The CNI creates the endpoint of a local pod again and again.
    let mut process = node(1);
    let local = slice("default/svc-0-x", "default/svc-0").port(8080).backend(backend("10.244.1.11").on("here"));
    process.rig.proxy.apply_slice(local.build());
    let mut pod = process.rig.local("pod", &["10.244.1.11"]);
    let rig = Rig::on(process.rig.emulator.clone(), ApiVersion::V2);
    process.minutes(5, |second| {
        if second.is_multiple_of(7) {
            rig.emulator.remove(Kind::Endpoint, pod);
            pod = rig.local("pod", &["10.244.1.11"]);
        }
    });
    assert_eq!(process.foreign_writer(), None);
}
