//! The cluster from an API server: each change goes straight into the session, whose runs begin once the own Node is known.

use std::sync::Arc;

use tracing::{info, warn};

use super::{Origin, Place, Turn};
use crate::background::Task;
use crate::config::DetectLocalMode;
use crate::control_loop::{Context, Event};
use crate::environment::{host, known_ips};
use crate::kubernetes::node::Node;
use crate::kubernetes::summary;
use crate::session::Session;
use crate::source::Change;
use crate::source::cluster::{self, Access, Needs, NodeError, OwnNode, Standing};

/// The cluster, until this is dropped.
pub(in crate::control_loop) struct LiveFeed {
    origin: Origin,
    _following: Task,
    own: OwnNode,
    /// Whether the session was not told of the Node's addresses.
    addresses_changed: bool,
    /// Why the server can't be asked.
    trouble: Option<String>,
    /// What was last said to be waited for.
    said: Option<&'static str>,
}

impl LiveFeed {
    /// Begins to follow the cluster.
    pub(super) fn open(place: Place<'_>, node_name: &str, access: &Arc<Access>, context: &Context<'_>) -> Self {
        let needs = Needs {
            addresses: known_ips(place.args, place.hns).is_empty(),
            pod_cidrs: place.config.detect_local_mode == DetectLocalMode::NodeCidr,
        };
        let origin = Origin::default();
        let (events, from) = (context.events.clone(), origin.clone());
        let Context { background, metrics, .. } = context;
        let tell = move |change| events.send(Event::Cluster(from.clone(), change));
        info!("the cluster is that of the API server {}", access.server());
        let following = cluster::follow(background, access.clone(), place.config, node_name, metrics, tell);
        let own = OwnNode::new(node_name, needs);
        Self { origin, _following: following, own, addresses_changed: false, trouble: None, said: None }
    }

    /// Whether a change is of this cluster, and not of one that was followed before.
    pub(super) fn is(&self, origin: &Origin) -> bool {
        Arc::ptr_eq(&self.origin, origin)
    }

    /// The Node as it was last seen.
    pub(super) fn node(&self) -> Option<&Node> {
        self.own.node()
    }

    /// Why the server can't be asked at present.
    pub(super) fn outage(&self) -> Option<&String> {
        self.trouble.as_ref()
    }

    /// Takes a change.
    pub(super) fn take(&mut self, change: Change, session: &mut Session) {
        match &change {
            Change::Node(node) => {
                if node.is_none() {
                    warn!(
                        "there is no Node {}; is the kubelet's name for it another? --hostname-override says it",
                        self.own.name()
                    );
                }
                let ips = |own: &OwnNode| own.node().map(|node| node.ips.clone());
                let before = ips(&self.own);
                self.own.see(node.clone(), session.now());
                self.addresses_changed |= ips(&self.own) != before;
            }
            Change::Problems(problems) => summary(problems).iter().for_each(|line| warn!("{line}")),
            Change::Services(services) => info!("the API server has {} Services to serve", services.len()),
            Change::Slices(slices) => info!("the API server has {} EndpointSlices to serve", slices.len()),
            Change::Trouble(trouble) => self.trouble.clone_from(trouble),
            _ => {}
        }
        session.apply(change);
    }

    /// Says whether it can begin, or go on, and tells the session of the Node.
    ///
    /// # Errors
    /// Where it does not go on.
    pub(super) fn tick(&mut self, place: Place<'_>, session: &mut Session) -> Result<Turn, NodeError> {
        match self.own.stands(session.now())? {
            Standing::Waits(what, until) => {
                if self.said.replace(what) != Some(what) {
                    info!("{what} {} is waited for", self.own.name());
                }
                Ok(Turn::Waits(format!("{what} {}", self.own.name()), until))
            }
            Standing::Settled => {
                if std::mem::take(&mut self.addresses_changed) {
                    session.set_host(host(place.config, place.args, place.hns, self.own.node()));
                }
                Ok(Turn::Ready(None))
            }
        }
    }
}
