//! Which Services are probed, and their frontends.

use std::net::SocketAddr;
use std::sync::Arc;

use proxy::{ProgrammedFrontend, Reconciler};

use crate::cli::ProbedService;
use crate::status::{ProbeTarget, Question};

/// Returns the frontends of the probed Services that are programmed. The cost depends only on the number of probed Services.
pub fn targets(services: &[ProbedService], reconciler: &Reconciler) -> Arc<[ProbeTarget]> {
    let mut targets: Vec<ProbeTarget> = Vec::new();
    for probed in services {
        let label: Arc<str> = probed.to_string().into();
        for service in probed.names() {
            for ProgrammedFrontend { frontend, backends } in reconciler.programmed_cluster_ips(&service) {
                let Some((question, address)) = Question::of(frontend).zip(frontend.address) else { continue };
                // A Service that is named twice is probed once.
                if targets.iter().all(|target| target.frontend != frontend) {
                    let address = SocketAddr::new(address, frontend.port);
                    targets.push(ProbeTarget {
                        label: label.clone(),
                        service: service.clone(),
                        frontend,
                        question,
                        address,
                        backends,
                    });
                }
            }
        }
    }
    targets.into()
}
