//! Clients: each requests one address again and again, with a `curl` in its network namespace for each request.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vswitch_lab::tun::Namespace;

/// The time between two requests of an address, in milliseconds. It is random, because requests at a fixed interval could miss the moment of
/// each change.
const PAUSE_MS: std::ops::Range<u64> = 50..150;
/// Flags of `curl`: an answer within ten seconds, without configuration files and proxies, and the time on a line of its own.
const FLAGS: [&str; 10] = [
    "--disable",
    "--silent",
    "--show-error",
    "--fail",
    "--max-time",
    "10",
    "--noproxy",
    "*",
    "--write-out",
    "\n%{time_total}",
];

/// An address that a client requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) client: &'static str,
    pub(super) kind: &'static str,
    pub(super) url: String,
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Its position in the list of targets.
    pub(super) target: usize,
    /// The answer, or why there is none.
    pub(super) result: Result<Answer, String>,
}

/// What a run waits for.
#[derive(Debug)]
pub(super) enum Event {
    Request(Outcome),
    /// Ctrl-C, or a signal that asks the program to end.
    Stop,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The name of the pod that has answered.
    pub(super) pod: String,
    pub(super) time: Duration,
}

/// Sends requests until told to end, and waits for the last answers.
pub(super) fn repeat(
    target: usize,
    url: &str,
    namespace: &Namespace,
    events: &Sender<Event>,
    has_ended: &AtomicBool,
) -> Result<()> {
    let mut random = fastrand::Rng::new();
    let request = || {
        let result = request(url).map_err(|error| format!("{error:#}"));
        // Nobody waits for it after an error of the lab.
        let _ = events.send(Event::Request(Outcome { target, result }));
    };
    // Threads and processes begin in the namespace of the thread that creates them.
    let send_all = || {
        std::thread::scope(|requests| {
            while !has_ended.load(Ordering::Relaxed) {
                requests.spawn(request);
                std::thread::sleep(Duration::from_millis(random.u64(PAUSE_MS)));
            }
        });
    };
    Ok(namespace.run(send_all)?)
}

fn request(url: &str) -> Result<Answer> {
    let mut curl = Command::new("curl");
    // In its own process group, curl does not receive the signal of Ctrl-C. An open request would count as failed.
    curl.args(FLAGS).arg(url).stdin(Stdio::null()).process_group(0);
    answer(&curl.output().context("cannot run curl")?)
}

fn answer(Output { status, stdout, stderr }: &Output) -> Result<Answer> {
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(text));
    ensure!(status.success(), "{}", stderr.trim());
    let mut lines = stdout.lines();
    let pod = lines.next().and_then(|line| line.split(' ').next()).unwrap_or_default();
    let seconds: f64 =
        lines.next_back().unwrap_or_default().parse().with_context(|| format!("output of curl: {stdout}"))?;
    Ok(Answer { pod: pod.to_owned(), time: Duration::try_from_secs_f64(seconds)? })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn of(code: i32, stdout: &str, stderr: &str) -> Result<Answer, String> {
        // The exit code is the second byte of a wait status.
        let status = ExitStatus::from_raw(code << 8);
        answer(&Output { status, stdout: stdout.into(), stderr: stderr.into() }).map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_names_the_pod_and_has_a_time() {
        let expected = Answer { pod: "web-4".to_owned(), time: Duration::from_millis(12) };
        assert_eq!(of(0, "web-4 answers 10.244.1.100:4711\n\n0.012", ""), Ok(expected));
        assert_eq!(of(28, "\n10.0", "curl: (28) timeout\n"), Err("curl: (28) timeout".to_owned()));
        assert_eq!(of(0, "web-4", ""), Err("output of curl: web-4".to_owned()));
    }
}
