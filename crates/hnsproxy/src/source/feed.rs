//! Applies changes of the cluster: to the session, and to the Node of this node.

use std::sync::Arc;

use cluster_source::files::FileError;
use cluster_source::kubernetes::summary;
use cluster_source::{Change, FileSource};
use tracing::{info, warn};

use super::local_node::{LocalNode, Needs, NodeError, Readiness};
use super::{Source, list_watch};
use crate::background::{Background, Task};
use crate::cli::ProxyArgs;
use crate::config::{Config, DetectLocalMode};
use crate::environment::{configured_node_ips, host};
use crate::hns::Hns;
use crate::metrics::Metrics;
use crate::session::Session;

/// Identifies a feed: changes of its predecessor may still arrive after the configuration has changed.
pub type Origin = Arc<()>;

/// The arguments, configuration and HNS that decide how the cluster is read, and which addresses the host has.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    pub args: &'a ProxyArgs,
    pub config: &'a Config,
    pub hns: &'a Hns,
}

/// Emits changes until it is dropped.
enum Running {
    Files { _source: FileSource },
    ApiServer { _task: Task },
}

/// A running source, and what is known of the cluster apart from the session.
pub struct Feed {
    origin: Origin,
    _running: Running,
    node: LocalNode,
    /// Whether the session has not been given the present addresses of the Node.
    addresses_changed: bool,
    outage: Option<String>,
    /// The last wait that was logged.
    logged_wait: Option<&'static str>,
}

impl Feed {
    /// Starts to read the cluster. Applies the content of files immediately. Later changes are sent from any thread, those that belong
    /// together in one call; the receiver has to [apply](Self::apply) them.
    ///
    /// # Errors
    /// If files cannot be read or watched. An API server that is unavailable is not an error.
    pub fn start(
        environment: Environment<'_>,
        node_name: &str,
        source: &Source,
        background: &Background,
        metrics: &Arc<Metrics>,
        send: impl Fn(Origin, Vec<Change>) + Send + 'static,
        session: &mut Session,
    ) -> Result<Self, FileError> {
        let origin = Origin::default();
        let from = origin.clone();
        let emit = move |changes| send(from.clone(), changes);
        let (needs, running, initial) = match source {
            Source::Files(root) => {
                let (source, initial) = FileSource::start(root, node_name, emit)?;
                (Needs::NOTHING, Running::Files { _source: source }, initial)
            }
            Source::ApiServer(access) => {
                let needs = Needs {
                    answer: true,
                    addresses: configured_node_ips(environment.args, environment.hns).is_empty(),
                    pod_cidrs: environment.config.detect_local_mode == DetectLocalMode::NodeCidr,
                };
                info!(server = access.server(), "reading the cluster from an API server");
                let task = list_watch(background, access.clone(), node_name, metrics.clone(), emit);
                (needs, Running::ApiServer { _task: task }, Vec::new())
            }
        };
        let node = LocalNode::new(node_name, needs);
        let mut feed =
            Self { origin, _running: running, node, addresses_changed: false, outage: None, logged_wait: None };
        initial.into_iter().for_each(|change| feed.apply_one(change, session));
        Ok(feed)
    }

    /// Why the source cannot be read at present.
    pub fn outage(&self) -> Option<&String> {
        self.outage.as_ref()
    }

    /// Applies changes, unless they come from a predecessor of this feed.
    pub fn apply(&mut self, origin: &Origin, changes: Vec<Change>, session: &mut Session) {
        if Arc::ptr_eq(&self.origin, origin) {
            changes.into_iter().for_each(|change| self.apply_one(change, session));
        }
    }

    fn apply_one(&mut self, change: Change, session: &mut Session) {
        match &change {
            Change::Node(node) => {
                if node.is_none() {
                    warn!(
                        "Node {} not found; set --hostname-override if the kubelet uses another name",
                        self.node.name()
                    );
                }
                self.addresses_changed |= self.node.update(node.clone(), session.now());
            }
            Change::Problems(problems) if problems.is_empty() => info!("problems in the input: resolved"),
            Change::Problems(problems) => summary(problems).iter().for_each(|line| warn!("{line}")),
            Change::Outage(outage) => self.outage.clone_from(outage),
            _ => {}
        }
        session.apply(change);
    }

    /// Whether HNS can be programmed. If so, hands new addresses of the Node to the session.
    ///
    /// # Errors
    /// If the Node lacks what is needed.
    pub fn readiness(&mut self, environment: Environment<'_>, session: &mut Session) -> Result<Readiness, NodeError> {
        let readiness = self.node.readiness(session.now())?;
        match &readiness {
            Readiness::Waiting(what, _) => {
                if self.logged_wait.replace(what) != Some(what) {
                    info!("waiting for {what} {}", self.node.name());
                }
            }
            Readiness::Ready => {
                if std::mem::take(&mut self.addresses_changed) {
                    let Environment { args, config, hns } = environment;
                    session.set_host(host(config, args, hns, self.node.node()));
                }
            }
        }
        Ok(readiness)
    }

    pub fn node_name(&self) -> &str {
        self.node.name()
    }
}
