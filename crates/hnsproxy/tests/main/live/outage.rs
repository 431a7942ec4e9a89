//! An API server that is unavailable or misbehaves: HNS keeps its objects, and is in sync again once the server is available.

use serde_json::json;
use test_api_server::{Credentials, ExpiredWatches, FaultMode, Kind};

use super::Live;
use crate::support::cluster::{Cluster, service, slice};
use crate::support::config::ConfigFile;
use crate::support::hns::Hns;
use crate::support::http::{get, wait_for_page};
use crate::support::wait::wait_until;

const BOUTIQUE: &str = "boutique-l2bridge";

/// A cluster with the Service `goes`, which is deleted during an outage, when the Service `comes` is created.
struct Missed {
    live: Live,
    writes: u64,
}

impl Missed {
    fn start() -> Self {
        let live = Live::start(BOUTIQUE, &[]);
        live.put_service("goes", "10.96.9.1");
        live.wait_until_watched();
        let writes = live.hns.emulator.writes();
        Self { live, writes }
    }

    /// Changes the cluster.
    fn change(&self) {
        let server = &self.live.cluster.server;
        server.delete(Kind::Service, "ns", "goes");
        server.load(json!([service("comes", "10.96.9.2"), slice("comes", "10.244.7.9")])).unwrap();
    }

    #[track_caller]
    fn assert_no_write(&self) {
        assert_eq!(self.live.hns.emulator.writes(), self.writes, "HNS keeps its objects");
    }

    /// Waits until the change is programmed, and later changes are followed.
    #[track_caller]
    fn assert_change_is_programmed(self) {
        self.live.hns.wait_for_frontend("10.96.9.2");
        self.live.hns.wait_for_no_frontend("10.96.9.1");
        self.live.put_service("later", "10.96.9.3");
        self.live.wait_until_watched();
    }
}

/// A change during a fault of the server is programmed after it. The status has the outage while it lasts.
#[track_caller]
fn a_change_is_programmed_after(fault: FaultMode) {
    let missed = Missed::start();
    let (server, running) = (&missed.live.cluster.server, &missed.live.running);
    server.set_fault_mode(fault);
    server.cut();
    running.wait_until_cluster_available(false);
    missed.change();
    let requests = server.received().len();
    wait_until("retries", || server.received().len(), |received| *received > requests + 9);
    missed.assert_no_write();
    assert_eq!(get(running.metrics, "/readyz").unwrap().code, 200, "what is known is programmed");
    server.set_fault_mode(FaultMode::None);
    running.wait_until_cluster_available(true);
    missed.assert_change_is_programmed();
}

#[test]
fn a_change_is_programmed_after_a_server_was_busy() {
    a_change_is_programmed_after(FaultMode::Refuses { code: 429, retry_after: Some(1) });
}

#[test]
fn a_change_is_programmed_after_a_server_failed() {
    a_change_is_programmed_after(FaultMode::Refuses { code: 500, retry_after: None });
}

#[test]
fn a_change_is_programmed_after_a_server_sent_garbage() {
    a_change_is_programmed_after(FaultMode::Garbage);
}

#[test]
fn a_change_is_programmed_after_a_server_broke_off_each_answer() {
    a_change_is_programmed_after(FaultMode::Half);
}

#[test]
fn a_change_is_programmed_after_a_server_was_gone() {
    let missed = Missed::start();
    let (server, running) = (&missed.live.cluster.server, &missed.live.running);
    server.make_unavailable();
    running.wait_until_cluster_available(false);
    missed.change();
    missed.assert_no_write();
    assert_eq!(get(running.metrics, "/readyz").unwrap().code, 200, "what is known is programmed");
    server.make_available().unwrap();
    running.wait_until_cluster_available(true);
    missed.assert_change_is_programmed();
}

/// A change that the server no longer has in its history is found by a new list, whichever error reports that.
#[track_caller]
fn a_forgotten_change_is_found(expired: ExpiredWatches) {
    let missed = Missed::start();
    let server = &missed.live.cluster.server;
    server.set_expired_watches(expired);
    server.make_unavailable();
    missed.change();
    server.forget();
    server.make_available().unwrap();
    missed.assert_change_is_programmed();
}

#[test]
fn a_watch_that_expires_by_an_event_is_listed_again() {
    a_forgotten_change_is_found(ExpiredWatches::Event);
}

#[test]
fn a_watch_that_expires_by_a_code_is_listed_again() {
    a_forgotten_change_is_found(ExpiredWatches::Code);
}

#[test]
fn a_server_with_a_restored_etcd_is_listed_again() {
    let missed = Missed::start();
    let server = &missed.live.cluster.server;
    let objects = server.objects();
    let restored = objects.into_iter().filter(|object| object["metadata"]["name"] != "goes");
    let mut restored: Vec<_> = restored.collect();
    restored.extend([service("comes", "10.96.9.2"), slice("comes", "10.244.7.9")]);
    server.restore(restored.into()).unwrap();
    missed.assert_change_is_programmed();
}

#[test]
fn a_connection_that_breaks_in_a_change_is_resumed() {
    let missed = Missed::start();
    let server = &missed.live.cluster.server;
    server.send_text_and_close(Some(Kind::Service), r#"{"type":"DELETED","object":{"metadata":{"namespace":"ns","na"#);
    missed.change();
    missed.assert_change_is_programmed();
}

#[test]
fn connections_that_are_cut_are_resumed() {
    let missed = Missed::start();
    missed.live.cluster.server.cut();
    missed.change();
    missed.assert_change_is_programmed();
}

#[test]
fn a_change_is_programmed_after_garbage_in_a_watch() {
    let missed = Missed::start();
    missed.live.cluster.server.send_text(Some(Kind::Service), "<html>busy</html>\n");
    missed.live.running.wait_until_cluster_available(false);
    missed.change();
    missed.assert_change_is_programmed();
}

#[test]
fn an_unknown_change_in_a_watch_is_passed_over() {
    let missed = Missed::start();
    let server = &missed.live.cluster.server;
    server.bookmark(None);
    server.send_text(None, "{\"type\":\"NEW\",\"object\":{}}\n");
    missed.change();
    missed.assert_change_is_programmed();
}

#[test]
fn a_configuration_that_changes_during_an_outage_leaves_the_node_as_it_was() {
    let (cluster, hns) = (Cluster::recorded(BOUTIQUE), Hns::of(BOUTIQUE));
    cluster.flag(&Credentials::None);
    let client = format!("clientConnection: {{kubeconfig: {}}}\n", cluster.file("kubeconfig").display());
    let config = ConfigFile::new(&format!("{client}logging: {{verbosity: 1}}"));
    let running = config.start(&[&hns.flag()]);
    running.wait_until_in_sync();
    wait_for_page(running.health, "/healthz", |answer| answer.code == 200);
    let writes = hns.emulator.writes();
    cluster.server.make_unavailable();
    running.wait_until_cluster_available(false);
    config.write(&format!("{client}logging: {{verbosity: 2}}"));
    config.wait_until_in_use("\"verbosity\":2");
    running.wait_until_cluster_available(false);
    wait_for_page(running.health, "/healthz", |answer| answer.code == 200);
    assert_eq!(hns.emulator.writes(), writes);
    cluster.server.make_available().unwrap();
    cluster.put_web("later", "10.96.9.3");
    hns.wait_for_frontend("10.96.9.3");
}
