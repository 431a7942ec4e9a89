//! Tests the whole program with an emulated HNS. The emulated HNS forwards no packets: probes of the cluster IP and of its backend connect to
//! listeners on this host.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::{Emulator, Service};
use serde_json::{Value, json};

use crate::app::build_with_route;
use crate::cli::{self, Command, RunArgs};
use crate::config::Config;
use crate::hns::{Hns, emulator};
use crate::http_client::Server;
use crate::shutdown::Shutdown;

/// The limit of each wait. It is long enough for a busy machine.
const BOUND: Duration = Duration::from_secs(30);

/// An address of this host that answers, or at which nothing listens.
struct Switched {
    open: SocketAddr,
    closed: SocketAddr,
    is_open: AtomicBool,
}

impl Switched {
    fn new() -> Arc<Self> {
        let [listener, closed] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [open, closed] = [&listener, &closed].map(|listener| listener.local_addr().unwrap());
        // The thread runs as long as the process. It closes each accepted connection immediately.
        thread::spawn(move || listener.incoming().for_each(drop));
        Arc::new(Self { open, closed, is_open: AtomicBool::new(true) })
    }

    fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::SeqCst);
    }

    fn address(&self) -> SocketAddr {
        if self.is_open.load(Ordering::SeqCst) { self.open } else { self.closed }
    }
}

/// The Service `ns/web` with one backend, and another one that is not probed.
fn cluster() -> Value {
    let objects = [("web", "10.96.9.1", "10.244.7.7"), ("other", "10.96.9.2", "10.244.7.8")].map(|(name, address, backend)| {
        [
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": name},
                "spec": {"clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"], "ports": [{"port": 80}]}}),
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"namespace": "ns", "name": format!("{name}-1"), "labels": {"kubernetes.io/service-name": name}},
                "ports": [{"name": "", "port": 8080}], "endpoints": [{"addresses": [backend]}]}),
        ]
    });
    json!({"apiVersion": "v1", "kind": "List", "items": objects.concat()})
}

/// The running program.
struct Process {
    emulator: Arc<Emulator>,
    metrics: SocketAddr,
}

impl Process {
    #[track_caller]
    fn wait<T: std::fmt::Debug>(&self, what: &str, state: impl Fn() -> T, accept: impl Fn(&T) -> bool) -> T {
        #[allow(clippy::disallowed_methods, reason = "bounds a wait")]
        let start = Instant::now();
        loop {
            let last = state();
            if accept(&last) {
                return last;
            }
            assert!(start.elapsed() < BOUND, "waited {BOUND:?} for {what}; last state: {last:#?}");
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn page(&self, path: &str) -> Value {
        Server { address: self.metrics, certificate_file: None }.get_json(path).unwrap().unwrap()
    }

    fn status(&self) -> Value {
        self.page("/statusz?format=json")
    }

    /// Waits until the probe has this finding.
    #[track_caller]
    fn wait_for_finding(&self, finding: &str) -> Value {
        self.wait(finding, || self.status(), |status| status["probe"][0]["finding"] == finding)
    }

    /// The value of a metric; 0 if the metric does not exist.
    fn metric(&self, series: &str) -> f64 {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.metrics).unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    fn failures(&self) -> f64 {
        self.metric("hnsproxy_probe_failures_total{target=\"ns/web\"}")
    }

    #[track_caller]
    fn wait_for_liveness(&self, liveness: &str) {
        self.wait(liveness, || self.status(), |status| status["hns"]["liveness"] == liveness);
    }

    /// Waits until this number of further probes got no response.
    #[track_caller]
    fn wait_for_failures(&self, count: u32) {
        let goal = self.failures() + f64::from(count);
        self.wait("failures", || self.failures(), |failures| *failures >= goal);
    }

    /// Waits until there are this many probes with an answer more.
    #[track_caller]
    fn wait_for_answers(&self, count: u32) {
        let answers = || self.metric("hnsproxy_probe_duration_seconds_count{target=\"ns/web\"}");
        let goal = answers() + f64::from(count);
        self.wait("answers", answers, |answers| *answers >= goal);
    }

    /// The entries of the history about the Service since a sequence: the kind, and the action or reason.
    fn history(&self, since: u64) -> Vec<(String, String)> {
        let path = format!("/debug/history?since={since}&service=ns/web");
        let page = self.page(&path);
        let entries = page["entries"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let entry = |entry: &Value| {
            let reason = [text(&entry["action"]), text(&entry["reason"])].join(" ");
            (text(&entry["kind"]), reason.trim().to_owned())
        };
        entries.iter().map(entry).collect()
    }

    fn last_sequence(&self) -> u64 {
        self.page("/debug/history?limit=1")["last_sequence"].as_u64().unwrap()
    }

    fn writes(&self) -> u64 {
        self.emulator.writes()
    }
}

/// Starts the program with flags, and runs a test after the first successful probe.
fn with_process(flags: &[&str], test: impl FnOnce(&Process, &Switched, &Switched)) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.json");
    std::fs::write(&file, cluster().to_string()).unwrap();
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/boutique-l2bridge/host.json");
    let (host, emulator) = emulator(Some(&host)).unwrap();
    let service = Service::bind("127.0.0.1:0", emulator.clone()).unwrap().with_facts(&host).spawn().unwrap();
    let (from, hns) = (format!("--from={}", file.display()), format!("--hns=tcp://{}", service.address()));
    let line = [&["hnsproxy", "run", &from, &hns, "--probe-vips=ns/web", "--probe-interval=0.02"], flags].concat();
    let Command::Run(args) = cli::parse(line.iter().map(Into::into)).unwrap().command else { panic!("{line:?}") };
    let (vip, backend) = (Switched::new(), Switched::new());
    let shutdown = Shutdown::default();
    thread::scope(|scope| {
        let (sender, addresses) = mpsc::channel();
        let hns = Hns::open(&args.proxy.hns).unwrap();
        let (args, requested) = (&args, &shutdown);
        let (to_vip, to_backend) = (vip.clone(), backend.clone());
        scope.spawn(move || run(args, hns, requested, to_vip, to_backend, &sender));
        let process = Process { emulator, metrics: addresses.recv().unwrap() };
        let end = End(&shutdown);
        process.wait_for_finding("Forwards");
        test(&process, &vip, &backend);
        drop(end);
    });
}

fn run(
    args: &RunArgs,
    hns: Arc<Hns>,
    shutdown: &Shutdown,
    vip: Arc<Switched>,
    backend: Arc<Switched>,
    addresses: &mpsc::Sender<SocketAddr>,
) {
    let mut config = Config::resolve(&args.proxy.kube_proxy).unwrap();
    // The flags do not allow port 0.
    (config.metrics_address, config.healthz_address) = ("127.0.0.1:0".parse().unwrap(), None);
    let route = move |address: SocketAddr| match address.to_string().as_str() {
        "10.96.9.1:80" => vip.address(),
        "10.244.7.7:8080" => backend.address(),
        other => panic!("unexpected probe of {other}"),
    };
    let bound = build_with_route(args, &config, hns, shutdown, Arc::new(route)).unwrap();
    addresses.send(bound.metrics_address().unwrap()).unwrap();
    bound.run().unwrap();
}

/// Stops the program, even if the test fails.
struct End<'a>(&'a Shutdown);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

fn begun() -> (String, String) {
    ("condition_begun".to_owned(), "FrontendNotForwarding".to_owned())
}

fn resolved() -> (String, String) {
    ("condition_resolved".to_owned(), "FrontendNotForwarding".to_owned())
}

#[test]
fn a_frontend_that_does_not_forward_is_reported_until_it_does() {
    with_process(&[], |process, vip, _| {
        let (writes, sequence) = (process.writes(), process.last_sequence());
        vip.set_open(false);
        let status = process.wait_for_finding("FrontendNotForwarding");
        let message = "10.96.9.1:80/TCP does not forward: 3 consecutive probes from this node failed, but its backend answers directly; \
                       set --probe-repair to replace the load balancer";
        let expected = json!([{"service": "ns/web", "frontend": "10.96.9.1:80/TCP", "finding": "FrontendNotForwarding",
            "message": message, "replacements": 0}]);
        assert_eq!(status["probe"], expected);
        let condition = json!([{"service": "ns/web", "reason": "FrontendNotForwarding", "message": message}]);
        assert_eq!((&status["conditions"], &status["in_sync"]), (&condition, &json!(true)), "the node stays ready");
        assert!(process.metric("hnsproxy_conditions{reason=\"FrontendNotForwarding\"}") > 0.0);
        assert!(process.metric("hnsproxy_probe_duration_seconds_count{target=\"ns/web\"}") > 0.0);
        process.wait_for_failures(10);
        vip.set_open(true);
        let status = process.wait_for_finding("Forwards");
        assert_eq!(status["conditions"], json!([]));
        assert_eq!(process.history(sequence), [begun(), resolved()]);
        assert_eq!(process.writes(), writes, "nothing is replaced without --probe-repair");
    });
}

#[test]
fn a_load_balancer_that_does_not_forward_is_replaced_once() {
    with_process(&["--probe-repair"], |process, vip, _| {
        let (writes, sequence) = (process.writes(), process.last_sequence());
        vip.set_open(false);
        process.wait("the replacement", || process.status(), |status| status["probe"][0]["replacements"] == 1);
        // Many more failures, all before the next replacement is due.
        process.wait_for_failures(10);
        let write = |action: &str| ("write".to_owned(), format!("{action} not_forwarding"));
        let mut expected = vec![begun(), write("delete_load_balancer"), write("create_load_balancer")];
        let mut history = process.history(sequence);
        expected.sort();
        history.sort();
        assert_eq!((history, process.writes()), (expected, writes + 2));
        assert_eq!(process.status()["in_sync"], true);
    });
}

#[test]
fn no_condition_is_reported_if_the_backends_do_not_respond_either() {
    with_process(&["--probe-repair"], |process, vip, backend| {
        let (writes, sequence) = (process.writes(), process.last_sequence());
        backend.set_open(false);
        vip.set_open(false);
        let status = process.wait_for_finding("BackendsNotAnswering");
        process.wait_for_failures(10);
        assert_eq!((&status["conditions"], &status["in_sync"]), (&json!([]), &json!(true)));
        assert_eq!((process.history(sequence), process.writes()), (Vec::new(), writes));
    });
}

#[test]
fn nothing_is_replaced_while_an_hns_call_is_overdue() {
    with_process(&["--probe-repair", "--hns-call-budget=0.3", "--hns-audit-interval=0.1"], |process, vip, _| {
        process.wait_for_liveness("up");
        let writes = process.writes();
        process.emulator.inject(Fault::of_each(Which::Any, Effect::Hang));
        process.wait_for_liveness("slow");
        vip.set_open(false);
        process.wait_for_failures(10);
        vip.set_open(true);
        // Probes that succeed, so that nothing is to be replaced when HNS answers again.
        process.wait_for_answers(3);
        process.emulator.clear_faults();
        process.wait_for_liveness("up");
        assert_eq!((process.writes(), &process.status()["probe"][0]["replacements"]), (writes, &json!(0)));
    });
}
