//! An API server that is away or misbehaves: HNS keeps what it holds, and the state is right once the server is well.

use serde_json::json;
use test_api_server::{Credentials, ExpiredWatches, Kind, Mood};

use super::{Cluster, Live, service, slice, web};
use crate::hns::Hns;
use crate::http::get;
use crate::program::{Running, free_addresses, until};

const BOUTIQUE: &str = "boutique-l2bridge";

/// Lines of warnings and worse.
fn warnings(lines: &[String]) -> Vec<&String> {
    lines.iter().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect()
}

/// A cluster with two Services more, of which one goes while the server is not well, and one comes.
struct Missed {
    live: Live,
    writes: u64,
}

impl Missed {
    fn start() -> Self {
        let live = Live::start(BOUTIQUE, &[]);
        live.settle("goes", "10.96.9.1");
        live.until_watched();
        let writes = live.hns.emulator.writes();
        Self { live, writes }
    }

    /// Changes the cluster behind the back of who can't look.
    fn change(&self) {
        let server = &self.live.cluster.server;
        server.delete(Kind::Service, "ns", "goes");
        server.load(json!([service("comes", "10.96.9.2"), slice("comes", "10.244.7.9")])).unwrap();
    }

    fn untouched(&self) {
        assert_eq!(self.live.hns.emulator.writes(), self.writes, "HNS keeps what it holds");
    }

    /// Waits until all is seen.
    fn seen(self) {
        self.live.until_there("10.96.9.2", true);
        self.live.until_there("10.96.9.1", false);
        self.live.settle("later", "10.96.9.3");
        self.live.until_watched();
    }

    /// What is missed in this mood is seen after it, and the mood is named once.
    fn in_mood(mood: Mood, named: &str) {
        let missed = Self::start();
        let server = &missed.live.cluster.server;
        server.set_mood(mood);
        server.cut();
        let began = missed.live.running.lines_to(named);
        missed.change();
        let tried = server.received().len();
        until("it is tried again and again", || server.received().len() > tried + 9);
        missed.untouched();
        server.set_mood(Mood::Well);
        let over = missed.live.running.lines_to("can be asked again");
        assert_eq!(warnings(&began).len(), 1, "{began:#?}");
        assert_eq!(warnings(&over), Vec::<&String>::new());
        missed.seen();
    }
}

#[test]
fn what_is_missed_while_the_server_is_gone_is_seen_when_it_is_back() {
    let missed = Missed::start();
    let server = &missed.live.cluster.server;
    server.go_away();
    let began = missed.live.running.lines_to("can't be reached");
    assert_eq!(warnings(&began).len(), 1, "{began:#?}");
    missed.change();
    missed.untouched();
    let page = || get(missed.live.running.metrics, "/readyz").unwrap();
    until("pages tell of it", || page().json()["cluster"]["error"].is_string());
    assert_eq!(page().code, 200, "what is known is programmed");
    server.come_back().unwrap();
    let over = missed.live.running.lines_to("can be asked again");
    assert_eq!(warnings(&over), Vec::<&String>::new());
    missed.seen();
}

#[test]
fn changes_that_the_server_has_forgotten_are_found_by_a_new_list() {
    for expired in [ExpiredWatches::Event, ExpiredWatches::Code] {
        let missed = Missed::start();
        let server = &missed.live.cluster.server;
        server.set_expired_watches(expired);
        server.go_away();
        missed.change();
        server.forget();
        server.come_back().unwrap();
        missed.seen();
    }
}

#[test]
fn a_server_with_another_history_is_listed_anew() {
    let missed = Missed::start();
    let server = &missed.live.cluster.server;
    let objects = server.objects();
    let restored = objects.into_iter().filter(|object| object["metadata"]["name"] != "goes");
    let mut restored: Vec<_> = restored.collect();
    restored.extend([service("comes", "10.96.9.2"), slice("comes", "10.244.7.9")]);
    server.restore(restored.into()).unwrap();
    missed.seen();
}

#[test]
fn a_server_that_is_busy_is_asked_again_when_it_wants() {
    Missed::in_mood(Mood::Refuses { code: 429, retry_after: Some(1) }, "is busy (429)");
}

#[test]
fn a_server_that_fails_is_named_once() {
    Missed::in_mood(Mood::Refuses { code: 500, retry_after: None }, "fails (500)");
}

#[test]
fn a_server_that_makes_no_sense_is_named_once() {
    Missed::in_mood(Mood::Garbage, "makes no sense");
}

#[test]
fn a_server_that_always_breaks_off_is_named_once() {
    Missed::in_mood(Mood::Half, "breaks");
}

#[test]
fn a_connection_that_breaks_now_and_then_is_nothing_to_say() {
    let missed = Missed::start();
    let server = &missed.live.cluster.server;
    server.break_off(Some(Kind::Service), r#"{"type":"DELETED","object":{"metadata":{"namespace":"ns","na"#);
    missed.change();
    missed.live.until_there("10.96.9.2", true);
    // Several breaks in a row would be trouble.
    missed.live.until_watched();
    server.delete(Kind::EndpointSlice, "ns", "comes-1");
    server.cut();
    until("the backends are gone", || !missed.live.hns.objects().join("").contains("10.244.7.9"));
    missed.live.settle("later", "10.96.9.3");
    web_is_odd(&missed.live);
    let lines = missed.live.running.lines_to("Service ns/odd: ");
    assert!(warnings(&lines).iter().all(|line| !line.contains("API server")), "{lines:#?}");
}

/// A mark in the log.
fn web_is_odd(live: &Live) {
    let mut odd = service("odd", "10.96.9.9");
    odd["spec"]["ports"] = json!("all");
    live.cluster.server.put(odd).unwrap();
}

#[test]
fn garbage_in_a_watch_is_named_and_passed() {
    let missed = Missed::start();
    let server = &missed.live.cluster.server;
    server.say(Some(Kind::Service), "<html>busy</html>\n");
    missed.live.running.wait_for("makes no sense: ");
    missed.change();
    missed.seen();
}

#[test]
fn a_watch_that_ends_in_order_goes_on() {
    let missed = Missed::start();
    let server = &missed.live.cluster.server;
    server.bookmark(None);
    server.say(None, "{\"type\":\"NEW\",\"object\":{}}\n");
    missed.change();
    missed.seen();
}

#[test]
fn a_configuration_that_changes_while_the_server_is_away_leaves_the_node_as_it_was() {
    let cluster = Cluster::recorded(BOUTIQUE);
    let hns = Hns::of(BOUTIQUE);
    cluster.flag(&Credentials::None);
    let [health, metrics] = free_addresses();
    let config = cluster.file("config.yaml");
    let write = |verbosity: u32| {
        let text = format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
             clientConnection: {{kubeconfig: {}}}\nlogging: {{verbosity: {verbosity}}}\n\
             healthzBindAddress: {health}\nmetricsBindAddress: {metrics}\n",
            cluster.file("kubeconfig").display()
        );
        std::fs::write(&config, text).unwrap();
    };
    write(1);
    let running = Running::start_at(health, metrics, &[&format!("--config={}", config.display()), &hns.flag()]);
    running.wait_for("HNS holds all that it should");
    let healthz = || get(health, "/healthz").map(|answer| answer.code);
    until("the node is eligible", || healthz() == Some(200));
    let writes = hns.emulator.writes();
    cluster.server.go_away();
    running.wait_for("can't be reached");
    write(2);
    running.wait_for("the configuration has changed");
    running.wait_for("/healthz listens at");
    assert_eq!((healthz(), hns.emulator.writes()), (Some(200), writes));
    running.wait_for("can't be reached");
    assert_eq!(healthz(), Some(200));
    cluster.server.come_back().unwrap();
    web(&cluster.server, "later", "10.96.9.3");
    until("what comes is programmed", || hns.has("10.96.9.3"));
}
