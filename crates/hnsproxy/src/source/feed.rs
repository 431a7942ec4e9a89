//! Applies changes of the cluster: to the session, and to the Node of this node.

use std::sync::Arc;

use cluster_source::cluster::{Access, RequestObserver};
use cluster_source::files::FileError;
use cluster_source::kubernetes::{Problem, summary};
use cluster_source::{Change, FileSource};
use tracing::{info, warn};

use super::local_node::{LocalNode, Needs, NodeError, Readiness};
use super::{ClusterChanges, Source, list_watch, warn_of_missing_node};
use crate::background::{Background, Task};
use crate::cli::ProxyArgs;
use crate::config::{Config, DetectLocalMode};

use crate::environment::{configured_node_ips, host};
use crate::hns::Hns;
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
    Files(FileSource),
    ApiServer { _task: Task, access: Arc<Access> },
}

/// A running source, and what is known of the cluster apart from the session.
pub struct Feed {
    origin: Origin,
    running: Running,
    node: LocalNode,
    /// Whether the addresses of the Node have changed since they were last passed to the session.
    addresses_changed: bool,
    outage: Option<String>,
    /// Whether problems of files were logged that are not resolved.
    has_file_problems: bool,
    /// The last wait that was logged.
    logged_wait: Option<&'static str>,
}

impl Feed {
    /// Starts to read the cluster. Changes are sent from any thread, and one call has all changes that belong together. The receiver has to
    /// [apply](Self::apply) them. The content of files is sent before this returns.
    ///
    /// # Errors
    /// If files cannot be read or watched. An API server that is unavailable is not an error.
    pub fn start(
        environment: Environment<'_>,
        node_name: &str,
        source: &Source,
        background: &Background,
        observer: Arc<dyn RequestObserver>,
        send: impl Fn(Origin, Vec<Change>) + Send + 'static,
    ) -> Result<Self, FileError> {
        let origin = Origin::default();
        let from = origin.clone();
        let emit = move |changes| send(from.clone(), changes);
        let (needs, running) = match source {
            Source::Files(root) => (Needs::NOTHING, Running::Files(FileSource::start(root, node_name, emit)?)),
            Source::ApiServer(access) => {
                let needs = Needs {
                    answer: true,
                    addresses: configured_node_ips(environment.args, environment.hns).is_empty(),
                    pod_cidrs: environment.config.detect_local_mode == DetectLocalMode::NodeCidr,
                };
                if access.has_server() {
                    info!(server = access.server(), "reading the cluster from an API server");
                } else if let Some(kubeconfig) = &environment.config.client.kubeconfig {
                    info!("waiting for kubeconfig {}", kubeconfig.display());
                }
                let task = list_watch(background, access.clone(), node_name, observer, emit);
                (needs, Running::ApiServer { _task: task, access: access.clone() })
            }
        };
        let node = LocalNode::new(node_name, needs);
        Ok(Self {
            origin,
            running,
            node,
            addresses_changed: false,
            outage: None,
            has_file_problems: false,
            logged_wait: None,
        })
    }

    /// Why the source cannot be read at present.
    pub fn outage(&self) -> Option<&String> {
        self.outage.as_ref()
    }

    /// How often files were read again. None if the source is an API server.
    pub fn file_reads(&self) -> Option<u64> {
        if let Running::Files(source) = &self.running { Some(source.reads()) } else { None }
    }

    /// Whether the API server is not verified.
    pub fn insecure_skip_tls_verify(&self) -> bool {
        matches!(&self.running, Running::ApiServer { access, .. } if access.insecure_skip_tls_verify())
    }

    /// Identifies the changes of this feed.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub fn apply(&mut self, ClusterChanges { changes, triggers }: ClusterChanges, session: &mut Session) {
        changes.into_iter().for_each(|change| self.apply_one(change, session));
        // After the changes: a deleted slice drops the trigger times of its Service.
        triggers.into_iter().for_each(|(service, trigger)| session.record_trigger(service, trigger));
    }

    fn apply_one(&mut self, change: Change, session: &mut Session) {
        match &change {
            Change::Node(node) => {
                if let (Running::ApiServer { .. }, None) = (&self.running, node) {
                    warn_of_missing_node(self.node.name());
                }
                self.addresses_changed |= self.node.update(node.clone(), session.now());
            }
            Change::ResetProblems(problems) => {
                log_problems(problems);
                let had_problems = std::mem::replace(&mut self.has_file_problems, !problems.is_empty());
                if had_problems && !self.has_file_problems {
                    info!("problems in the input: resolved");
                }
            }
            Change::Problems(problems) => log_problems(problems),
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

    /// The name of the Node, if the API server had it and has deleted it. Files need no Node.
    pub fn deleted_node(&self) -> Option<&str> {
        let is_deleted = matches!(self.running, Running::ApiServer { .. }) && self.node.is_deleted();
        is_deleted.then(|| self.node.name())
    }

    pub fn node_name(&self) -> &str {
        self.node.name()
    }
}

fn log_problems(problems: &[Problem]) {
    summary(problems).iter().for_each(|line| warn!("{line}"));
}
