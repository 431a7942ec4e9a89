//! Probes cluster IPs from this node (`--probe-vips`), because HNS can have the desired load balancer although the virtual switch does not
//! forward its traffic. The background thread owns all sockets. The tracker evaluates the results, and the control loop gets each changed
//! [`ProbeReport`].

mod ask;
mod target;
#[cfg(test)]
#[cfg(feature = "emulator")]
mod tests;
mod tracker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proxy::Liveness;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::background::{Background, Task};
use crate::metrics::Metrics;
use crate::status::{ProbeReport, ProbeTarget, Question, StatusStore};
use tracker::{Observation, Sample, Tracker};

pub use target::targets;

/// The maximum number of open sockets.
const MAX_SOCKETS: usize = 32;
/// The maximum number of backends of a frontend that are probed directly. A load balancer can have 1024.
const MAX_BACKENDS: usize = 16;

/// Maps a probed address to the address to connect to. Tests have no virtual switch, and use other addresses.
pub type Route = Arc<dyn Fn(SocketAddr) -> SocketAddr + Send + Sync>;

pub struct VipProbe {
    /// The time between two probes of a frontend.
    pub interval: Duration,
    /// Whether load balancers that do not forward are replaced.
    pub repairs: bool,
    pub store: Arc<StatusStore>,
    pub metrics: Arc<Metrics>,
    /// Whether an HNS call in flight exceeds its budget.
    pub is_overdue: Box<dyn Fn() -> bool + Send>,
    /// Gets each report that differs from the one before.
    pub send: Box<dyn Fn(ProbeReport) + Send>,
    pub route: Route,
}

impl VipProbe {
    /// Probes the targets in the status until the task is dropped.
    pub fn start(self, background: &Background) -> Task {
        background.spawn(move |stopped| async move {
            tokio::select! {
                () = self.run() => {}
                _ = stopped => {}
            }
        })
    }

    async fn run(self) {
        let mut rounds = interval(self.interval);
        // A round takes longer than the interval if many frontends do not respond.
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut tracker, mut sent) = (Tracker::new(self.repairs), ProbeReport::default());
        loop {
            rounds.tick().await;
            let report = self.round(&mut tracker).await;
            if report != sent {
                (self.send)(report.clone());
                // The same replacement must not be requested twice.
                sent = ProbeReport { replace: Vec::new(), ..report };
            }
        }
    }

    async fn round(&self, tracker: &mut Tracker) -> ProbeReport {
        let targets = self.store.snapshot().status.probe_targets.clone();
        let asked = targets.iter().map(|target| (target.question, target.address)).collect();
        let answers = self.ask_all(asked).await;
        let mut observations = Vec::with_capacity(targets.len());
        for (target, answer) in targets.iter().zip(answers) {
            self.metrics.vip_probe(&target.label, answer);
            let backends = match answer {
                None if tracker.needs_backends(target.frontend) => Some(self.ask_backends(target).await),
                _ => None,
            };
            let (service, frontend) = (target.service.clone(), target.frontend);
            observations.push((target, Observation { service, frontend, answered: answer.is_some(), backends }));
        }
        let snapshot = self.store.snapshot();
        // If the load balancer has changed during the round, the result does not apply to the new one.
        let observations =
            observations.into_iter().filter(|(target, _)| snapshot.status.probe_targets.contains(target));
        // While HNS is slow, or is restoring its objects, it programs the virtual switch late. A replacement would only add work.
        // The status is that of the time before the call in flight.
        let may_replace = snapshot.liveness((self.is_overdue)()) == Liveness::Up;
        tracker.record(snapshot.now.elapsed, observations.map(|(_, observation)| observation).collect(), may_replace)
    }

    async fn ask_backends(&self, target: &ProbeTarget) -> Sample {
        let backends = target.backends.iter().take(MAX_BACKENDS);
        let answers = self.ask_all(backends.map(|backend| (target.question, *backend)).collect()).await;
        Sample { asked: answers.len(), answered: answers.iter().flatten().count() }
    }

    /// Returns the response times, in the order of the addresses. `None` means no response.
    async fn ask_all(&self, addresses: Vec<(Question, SocketAddr)>) -> Vec<Option<Duration>> {
        let mut answers = vec![None; addresses.len()];
        let mut waiting = addresses.into_iter().enumerate();
        let mut asked = JoinSet::new();
        loop {
            while asked.len() < MAX_SOCKETS {
                let Some((index, (question, address))) = waiting.next() else { break };
                let address = (self.route)(address);
                asked.spawn_local(async move {
                    let begun = Instant::now();
                    let answered = ask::ask(question, address).await;
                    (index, answered.then(|| begun.elapsed()))
                });
            }
            match asked.join_next().await {
                Some(Ok((index, took))) => answers.iter_mut().skip(index).take(1).for_each(|answer| *answer = took),
                Some(Err(_)) => {}
                None => return answers,
            }
        }
    }
}
