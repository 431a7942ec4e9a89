//! One run: clients send requests while pods are replaced, and what happens is printed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use vswitch_lab::tun::Namespace;

use super::report::{self, Report};
use super::requests::{self, Event, Target};
use super::rollout::{Rollout, Step};
use super::world::{self, World};
use super::{Arguments, advice};
use crate::process::print;

const SECOND: Duration = Duration::from_secs(1);
/// How long the end of a pod is delayed while a load balancer has it. It is the default of `terminationGracePeriodSeconds`.
const GRACE: Duration = Duration::from_secs(30);
/// The time between two checks whether it is still used.
const RETRY: Duration = Duration::from_millis(100);

/// Runs the lab, and returns what has failed.
pub(super) fn failures(arguments: &Arguments) -> Result<Vec<String>> {
    let (events, received) = channel();
    let stop = events.clone();
    // Without a handler, a signal would leave hnsproxy behind.
    ctrlc::set_handler(move || drop(stop.send(Event::Stop))).context("cannot handle signals")?;
    print(format_args!(
        "A model of the Windows virtual switch forwards the packets, not VFP; docs/packets.md has its evidence and assumptions"
    ))?;
    print(format_args!("assumptions: {}", world::assumptions()))?;
    let (world, clients) = world::start()?;
    let targets = clients.targets();
    let time = Duration::from_secs(arguments.seconds.into());
    let mut run = Run::new(world, &targets, time);
    run.play(time, &targets, &events, &received)?;
    run.print_totals()?;
    if arguments.keep && !run.is_stopped {
        print(format_args!("{}", advice::text(&run.world, &targets, arguments.in_user_namespace)?))?;
        // Requests have ended, so nothing else comes.
        while !matches!(received.recv(), Ok(Event::Stop) | Err(_)) {}
    }
    Ok(run.failures())
}

struct Run {
    world: World,
    report: Report,
    rollout: Rollout,
    replaced: usize,
    is_stopped: bool,
}

impl Run {
    fn new(world: World, targets: &[(Target, &Namespace)], time: Duration) -> Self {
        let targets: Vec<Target> = targets.iter().map(|(target, _)| target.clone()).collect();
        Self { world, report: Report::new(&targets), rollout: Rollout::new(time), replaced: 0, is_stopped: false }
    }

    /// Sends requests and replaces pods for a time.
    fn play(
        &mut self,
        time: Duration,
        targets: &[(Target, &Namespace)],
        events: &Sender<Event>,
        received: &Receiver<Event>,
    ) -> Result<()> {
        print(format_args!("{}", report::header()))?;
        let has_ended = AtomicBool::new(false);
        std::thread::scope(|clients| {
            let end = End(&has_ended);
            let repeat = |(number, (target, namespace)): (usize, &(Target, &_))| {
                requests::repeat(number, &target.url, namespace, events, &has_ended)
            };
            let clients: Vec<_> =
                targets.iter().enumerate().map(|target| clients.spawn(move || repeat(target))).collect();
            let result = self.observe(time, received);
            drop(end);
            for client in clients {
                client.join().map_err(|_| anyhow!("a client has panicked"))??;
            }
            result
        })?;
        while let Ok(event) = received.try_recv() {
            self.take(event)?;
        }
        Ok(())
    }

    fn observe(&mut self, time: Duration, received: &Receiver<Event>) -> Result<()> {
        let begin = Instant::now();
        let mut second = 1;
        while !self.is_stopped {
            let now = begin.elapsed();
            if SECOND * second <= now {
                print(format_args!("{}", self.report.take_second(second)))?;
                self.check()?;
                second += 1;
                continue;
            }
            let step = self.rollout.next();
            let mut next = SECOND * second;
            if let Some((due, step)) = step.filter(|(due, _)| *due <= now) {
                if self.has_to_wait(step, now.saturating_sub(due)) {
                    next = next.min(now + RETRY);
                } else {
                    self.step(step)?;
                    self.rollout.done(begin.elapsed());
                    continue;
                }
            }
            if self.rollout.end().is_some_and(|end| time.max(end) <= now) {
                break;
            }
            next = step.into_iter().map(|(due, _)| due).filter(|due| *due > now).fold(next, Duration::min);
            if let Ok(event) = received.recv_timeout(next.saturating_sub(now)) {
                self.take(event)?;
            }
        }
        Ok(())
    }

    /// Whether a step that was due some time ago has to wait: a pod serves until no load balancer has it, unless that takes too long.
    fn has_to_wait(&self, step: Step, late: Duration) -> bool {
        step == Step::Remove && late < GRACE && self.world.oldest_is_backend()
    }

    fn step(&mut self, step: Step) -> Result<()> {
        let done = self.world.step(step)?;
        self.replaced += usize::from(step == Step::Remove);
        print(format_args!("        {done}"))
    }

    /// Fails if a part of the lab has ended.
    fn check(&mut self) -> Result<()> {
        self.world.rig.ensure_running().context("hnsproxy")?;
        self.world.driver.take_error().map_or(Ok(()), |error| Err(error.into()))
    }

    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Stop => self.is_stopped = true,
            Event::Request(outcome) => {
                self.report.add(&outcome);
                if let (Err(reason), Some(target)) = (&outcome.result, self.report.target(&outcome)) {
                    print(format_args!("        request of {} to {} failed: {reason}", target.client, target.url))?;
                }
            }
        }
        Ok(())
    }

    fn print_totals(&self) -> Result<()> {
        print(format_args!("{}\n{}", report::header(), self.report.totals()))?;
        let packets = self.world.driver.packets();
        let dropped = packets.drops.iter().map(|(reason, count)| format!(", {count} dropped ({reason})"));
        let [ok, failed] = self.report.sums();
        print(format_args!(
            "{ok} requests ok, {failed} failed; pods replaced: {}; packets through the switch: {}, {} lost{}",
            self.replaced,
            packets.entered,
            packets.lost,
            dropped.collect::<String>()
        ))
    }

    /// What has failed.
    fn failures(&self) -> Vec<String> {
        let [ok, failed] = self.report.sums();
        let mut failures = Vec::new();
        if failed > 0 {
            failures.push(format!("{failed} of {} requests failed", ok + failed));
        }
        // After Ctrl-C, a new pod may have had no time.
        if !self.is_stopped {
            failures.extend(
                self.report.unanswered().map(|target| format!("no answer to {} of {}", target.url, target.client)),
            );
            let silent = self.world.pods().filter(|pod| !self.report.has_answered(pod));
            failures.extend(silent.map(|pod| format!("pod {pod} has answered no request")));
        }
        failures
    }
}

/// Ends the requests when dropped, also by an error or a panic: the scope waits for them.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
