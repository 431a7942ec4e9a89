//! A server, a list/watch of it on a thread of its own, and the cluster that its changes add up to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use cluster_source::Change;
use cluster_source::cluster::{Access, ConnectionOptions, RequestObserver, list_watch};
use serde_json::{Value, json};
use test_api_server::ApiServer;
use tokio::sync::oneshot;

/// Longer than any wait takes, on a busy machine too.
const BOUND: Duration = Duration::from_secs(60);
pub(crate) const NODE: &str = "win-1";

/// Counts the answers that prove that the known Services are current.
#[derive(Default)]
struct Observer(AtomicUsize);

impl RequestObserver for Observer {
    fn rate_limited(&self, _: &str, _: &str, _: Duration) {}
    fn answered(&self, _: &str, _: &str, _: Option<u16>, _: Duration) {}
    fn current(&self, kind: &'static str) {
        self.0.fetch_add(usize::from(kind == "Service"), Ordering::SeqCst);
    }
}

/// The cluster that the emitted changes add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) services: Option<BTreeSet<String>>,
    pub(crate) slices: Option<BTreeSet<String>>,
    /// Whether the local Node exists; `None` until that is known.
    pub(crate) node: Option<bool>,
    pub(crate) problems: Vec<String>,
    pub(crate) outage: Option<String>,
}

impl Known {
    /// A cluster of these Services, each with a slice of its name, and the local Node.
    pub(crate) fn of(services: &[&str]) -> Self {
        let names: BTreeSet<_> = services.iter().map(|name| format!("ns/{name}")).collect();
        let slices = names.iter().map(|name| format!("{name}-1")).collect();
        Self { services: Some(names), slices: Some(slices), node: Some(true), problems: vec![], outage: None }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::ResetServices(all) => self.services = Some(all.iter().map(|s| s.name.to_string()).collect()),
            Change::ApplyService(service) => drop(self.services.as_mut().unwrap().insert(service.name.to_string())),
            Change::DeleteService(name) => drop(self.services.as_mut().unwrap().remove(&name.to_string())),
            Change::ResetSlices(all) => self.slices = Some(all.iter().map(|s| s.name.to_string()).collect()),
            Change::ApplySlice(slice) => drop(self.slices.as_mut().unwrap().insert(slice.name.to_string())),
            Change::DeleteSlice(name) => drop(self.slices.as_mut().unwrap().remove(&name.to_string())),
            Change::Node(node) => self.node = Some(node.is_some()),
            Change::Problems(problems) | Change::ResetProblems(problems) => {
                self.problems.extend(problems.iter().map(ToString::to_string));
            }
            Change::Outage(outage) => self.outage = outage,
        }
    }
}

/// A running list/watch. Dropping it ends the list/watch.
pub(crate) struct Watching {
    pub(crate) server: ApiServer,
    pub(crate) known: Known,
    /// The reasons of all emitted outages.
    pub(crate) outages: Vec<String>,
    /// The numbers of Services in all emitted lists.
    pub(crate) lists: Vec<usize>,
    observer: Arc<Observer>,
    changes: Receiver<Vec<Change>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watching {
    pub(crate) fn start(server: ApiServer) -> Self {
        // Longer than any test, so that no watch is silent for too long.
        Self::start_with(server, ConnectionOptions::RESPONSE_TIMEOUT, Duration::from_secs(90))
    }

    /// Starts with the time after which the server does not respond, and that after which a silent watch is verified.
    pub(crate) fn start_with(server: ApiServer, response_timeout: Duration, watch_timeout: Duration) -> Self {
        let options = ConnectionOptions {
            kubeconfig: None,
            master: Some(server.url()),
            qps: 0.0,
            burst: 0,
            stream_lists: true,
            response_timeout,
            watch_timeout,
            user_agent: "test".into(),
        };
        let access = Arc::new(Access::open(&options).unwrap());
        let (sender, changes) = channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let observer = Arc::<Observer>::default();
        let observing = observer.clone();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let emit = move |changes| drop(sender.send(changes));
                tokio::select! {
                    () = list_watch(access, NODE, observing, emit) => {}
                    _ = stopped => {}
                }
            });
        };
        let known = Known { services: None, slices: None, node: None, problems: vec![], outage: None };
        let thread = Some(std::thread::spawn(run));
        Self { server, known, outages: Vec::new(), lists: Vec::new(), observer, changes, stop: Some(stop), thread }
    }

    /// How often the known Services were proved to be current.
    pub(crate) fn proofs(&self) -> usize {
        self.observer.0.load(Ordering::SeqCst)
    }

    /// Starts with a server that has these Services, and waits until they are known.
    pub(crate) fn on(services: &[&str]) -> Self {
        Self::on_with(services, Duration::from_secs(90))
    }

    pub(crate) fn on_with(services: &[&str], watch_timeout: Duration) -> Self {
        let server = ApiServer::start().unwrap();
        server.load(cluster(services)).unwrap();
        let mut watching = Self::start_with(server, ConnectionOptions::RESPONSE_TIMEOUT, watch_timeout);
        watching.until("the cluster is known", |known| *known == Known::of(services));
        watching
    }

    /// Waits until the known cluster fulfils a condition.
    pub(crate) fn until(&mut self, what: &str, condition: impl Fn(&Known) -> bool) {
        while !condition(&self.known) {
            let Ok(changes) = self.changes.recv_timeout(BOUND) else {
                panic!("timeout before {what}: {:#?}", self.known)
            };
            for change in changes {
                match &change {
                    Change::Outage(Some(reason)) => self.outages.push(reason.clone()),
                    Change::ResetServices(all) => self.lists.push(all.len()),
                    _ => {}
                }
                self.known.apply(change);
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed already; the test fails because of the missing changes.
            let _ = thread.join();
        }
    }
}

/// Services, each with a slice, and the local Node.
pub(crate) fn cluster(services: &[&str]) -> Value {
    let mut objects: Vec<Value> = services.iter().flat_map(|name| [service(name), slice(name)]).collect();
    objects.push(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}));
    objects.into()
}

pub(crate) fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": name},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}})
}

pub(crate) fn slice(service: &str) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "ns", "name": format!("{service}-1"), "labels": {"kubernetes.io/service-name": service}},
        "ports": [{"name": "", "port": 8080}], "endpoints": [{"addresses": ["10.244.7.7"]}]})
}
