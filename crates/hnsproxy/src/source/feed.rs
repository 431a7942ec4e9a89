//! The one place where changes of the cluster are applied: to the session, and to what is known of the own Node.

use std::sync::Arc;

use cluster_source::files::FileError;
use cluster_source::kubernetes::node::Node;
use cluster_source::kubernetes::summary;
use cluster_source::{Batch, Change, FileSource};
use tracing::{info, warn};

use super::own_node::{Needs, NodeError, OwnNode, Readiness};
use super::{Source, list_watch};
use crate::background::{Background, Task};
use crate::cli::ProxyArgs;
use crate::config::{Config, DetectLocalMode};
use crate::environment::{host, known_ips};
use crate::hns::Hns;
use crate::metrics::Metrics;
use crate::session::Session;

/// Tells the changes of a feed from those of one before it, which may still be under way when the configuration changes.
pub type Origin = Arc<()>;

/// What decides how a cluster is read, and what its Node means for the host.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    pub args: &'a ProxyArgs,
    pub config: &'a Config,
    pub hns: &'a Hns,
}

/// What keeps emitting changes until it is dropped.
enum Running {
    Files { _source: FileSource },
    ApiServer { _task: Task },
}

/// A source at work, and what is known of the cluster beside what the session holds.
pub struct Feed {
    origin: Origin,
    running: Running,
    /// What was known at once, until it is applied.
    initial: Vec<Change>,
    own: OwnNode,
    /// Whether the session does not know the Node's present addresses.
    addresses_changed: bool,
    outage: Option<String>,
    /// What was last logged to be waited for.
    logged_wait: Option<&'static str>,
}

impl Feed {
    /// Starts to read the cluster. What is known at once, from files, waits for [`load`](Self::load). Later changes are sent from any thread,
    /// those that belong together in one call, and are to be [applied](Self::apply).
    ///
    /// # Errors
    /// If files cannot be read or watched. That an API server is unavailable is no error.
    pub fn start(
        environment: Environment<'_>,
        node_name: &str,
        source: &Source,
        background: &Background,
        metrics: &Arc<Metrics>,
        send: impl Fn(Origin, Batch) + Send + 'static,
    ) -> Result<Self, FileError> {
        let origin = Origin::default();
        let from = origin.clone();
        let emit = move |batch| send(from.clone(), batch);
        let (needs, running, initial) = match source {
            Source::Files(root) => {
                let (source, initial) = FileSource::start(root, node_name, emit)?;
                (Needs::NOTHING, Running::Files { _source: source }, initial)
            }
            Source::ApiServer(access) => {
                let needs = Needs {
                    answer: true,
                    addresses: known_ips(environment.args, environment.hns).is_empty(),
                    pod_cidrs: environment.config.detect_local_mode == DetectLocalMode::NodeCidr,
                };
                info!(server = access.server(), "reading the cluster from an API server");
                let emit = move |changes| emit(Batch::Changes(changes));
                let task = list_watch(background, access.clone(), node_name, metrics.clone(), emit);
                (needs, Running::ApiServer { _task: task }, Vec::new())
            }
        };
        let own = OwnNode::new(node_name, needs);
        Ok(Self { origin, running, initial, own, addresses_changed: false, outage: None, logged_wait: None })
    }

    /// The own Node, if it is known before anything is applied.
    pub fn initial_node(&self) -> Option<&Node> {
        self.initial.iter().find_map(|change| if let Change::Node(node) = change { node.as_ref() } else { None })
    }

    /// Applies what was known at once, to a session whose host has the addresses of the [initial Node](Self::initial_node).
    pub fn load(&mut self, session: &mut Session) {
        for change in std::mem::take(&mut self.initial) {
            self.apply_one(change, session);
        }
        self.addresses_changed = false;
    }

    /// Why the source cannot be read at present.
    pub fn outage(&self) -> Option<&String> {
        self.outage.as_ref()
    }

    /// Applies changes, unless they are of a feed before this one.
    pub fn apply(&mut self, origin: &Origin, batch: Batch, session: &mut Session) {
        if Arc::ptr_eq(&self.origin, origin) {
            batch.into_changes().into_iter().for_each(|change| self.apply_one(change, session));
        }
    }

    fn apply_one(&mut self, change: Change, session: &mut Session) {
        match &change {
            Change::Node(node) => {
                match &self.running {
                    // Nobody can mark a Node for removal that the files do not have.
                    Running::Files { .. } if node.is_none() => session.set_node_eligible(),
                    Running::ApiServer { .. } if node.is_none() => warn!(
                        "Node {} not found; set --hostname-override if the kubelet uses another name",
                        self.own.name()
                    ),
                    Running::Files { .. } | Running::ApiServer { .. } => {}
                }
                self.addresses_changed |= self.own.update(node.clone(), session.now());
            }
            Change::Problems(problems) if problems.is_empty() => info!("resolved: problems of the input"),
            Change::Problems(problems) => summary(problems).iter().for_each(|line| warn!("{line}")),
            Change::Outage(outage) => self.outage.clone_from(outage),
            _ => {}
        }
        session.apply(change);
    }

    /// Whether HNS can be programmed with what is known. Tells the session of new addresses of the Node once it can.
    ///
    /// # Errors
    /// If the Node lacks what is needed.
    pub fn readiness(&mut self, environment: Environment<'_>, session: &mut Session) -> Result<Readiness, NodeError> {
        let readiness = self.own.readiness(session.now())?;
        match &readiness {
            Readiness::Waiting(what, _) => {
                if self.logged_wait.replace(what) != Some(what) {
                    info!("waiting for {what} {}", self.own.name());
                }
            }
            Readiness::Ready => {
                if std::mem::take(&mut self.addresses_changed) {
                    let Environment { args, config, hns } = environment;
                    session.set_host(host(config, args, hns, self.own.node()));
                }
            }
        }
        Ok(readiness)
    }

    /// The name of the own Node.
    pub fn node_name(&self) -> &str {
        self.own.name()
    }
}
