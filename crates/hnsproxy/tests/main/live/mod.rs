//! The program on a cluster of a test API server, and an HNS that outlives it.

mod access;
mod events;
mod follow;
mod node;
mod outage;
mod permissions;
#[cfg(unix)]
mod plugin;
mod secrets;
mod wrong_answers;

use test_api_server::{Credentials, Kind};

use crate::support::cluster::Cluster;
use crate::support::hns::Hns;
use crate::support::running::Running;
use crate::support::wait::wait_until;

/// The program at work on a cluster, with everything programmed.
struct Live {
    cluster: Cluster,
    hns: Hns,
    running: Running,
}

impl Live {
    /// On a recording.
    fn start(name: &str, flags: &[&str]) -> Self {
        Self::start_on(Cluster::recorded(name), name, flags)
    }

    /// On a cluster, with the host of a recording.
    fn start_on(cluster: Cluster, host: &str, flags: &[&str]) -> Self {
        let hns = Hns::of(host);
        let (kubeconfig, at) = (cluster.flag(&Credentials::None), hns.flag());
        let running = Running::start(&[&[kubeconfig.as_str(), &at, "--enable-dsr"], flags].concat());
        running.wait_until_in_sync();
        Self { cluster, hns, running }
    }

    /// Puts a Service, and waits until it is programmed: changes of Services before it are programmed then too.
    #[track_caller]
    fn put_service(&self, name: &str, address: &str) {
        self.cluster.put_web(name, address);
        self.hns.wait_for_frontend(address);
    }

    /// Waits until all kinds are watched.
    #[track_caller]
    fn wait_until_watched(&self) {
        for kind in [Kind::Service, Kind::EndpointSlice, Kind::Node] {
            let what = format!("{} to be watched", kind.plural());
            wait_until(&what, || self.cluster.server.watches(kind), |watches| *watches == 1);
        }
    }
}
