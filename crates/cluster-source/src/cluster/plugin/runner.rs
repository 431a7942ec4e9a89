//! Runs one credential plugin at a time for all requests, and reports one that hangs while it hangs.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::answer::Credential;
use super::error::PluginError;
use super::{KILL_AFTER, Plugin, REPORT_AFTER, process};

const LIMITS: Limits = Limits {
    report_after: REPORT_AFTER,
    kill_after: KILL_AFTER,
    wait_again: Duration::from_secs(1),
    retry_after: Duration::from_secs(2),
};

#[derive(Clone, Copy)]
struct Limits {
    report_after: Duration,
    kill_after: Duration,
    /// How long a request waits for a plugin that is known to hang. The run only proceeds while a request waits for it.
    wait_again: Duration,
    /// How long a failure is valid. All reflectors ask for credentials, and retry at least once a second: each would run the plugin
    /// otherwise.
    retry_after: Duration,
}

type Running = Pin<Box<dyn Future<Output = Result<Credential, PluginError>> + Send>>;

/// The runs of plugins. Dropping it kills a plugin that still runs.
#[derive(Default)]
pub(in crate::cluster) struct Runner {
    run: Option<Run>,
    /// The last run, if it failed, and when it ended.
    failure: Option<(Plugin, Instant, PluginError)>,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("running", &self.run.is_some()).finish_non_exhaustive()
    }
}

struct Run {
    plugin: Plugin,
    started: Instant,
    future: Running,
}

impl Runner {
    /// The credentials of a plugin. Runs it, unless a run is in progress or has just failed.
    ///
    /// # Errors
    /// If the run failed, or is not complete after [`REPORT_AFTER`]. The next call waits for the same run.
    pub(in crate::cluster) async fn credential(&mut self, plugin: Plugin) -> Result<Credential, PluginError> {
        self.credential_within(plugin, LIMITS).await
    }

    async fn credential_within(&mut self, plugin: Plugin, limits: Limits) -> Result<Credential, PluginError> {
        if let Some((failed, at, error)) = &self.failure
            && *failed == plugin
            && at.elapsed() < limits.retry_after
        {
            return Err(error.clone());
        }
        // A run of another plugin was for a kubeconfig that has changed.
        let run = match self.run.take().filter(|run| run.plugin == plugin) {
            Some(run) => run,
            None => Run::start(plugin, limits.kill_after),
        };
        let wait = limits.report_after.saturating_sub(run.started.elapsed()).max(limits.wait_again);
        // If this future is dropped, the run stays for the next request.
        let run = self.run.insert(run);
        let Ok(result) = timeout(wait, run.future.as_mut()).await else {
            return Err(PluginError::Hangs { command: run.plugin.command.clone() });
        };
        let ended = self.run.take();
        let failure = |error: &PluginError| ended.map(|run| (run.plugin, Instant::now(), error.clone()));
        self.failure = result.as_ref().err().and_then(failure);
        result
    }
}

impl Run {
    fn start(plugin: Plugin, kill_after: Duration) -> Self {
        let started = plugin.clone();
        let future = Box::pin(async move { process::run(&started, kill_after).await });
        Self { plugin, started: Instant::now(), future }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const ANSWER: &str =
        r#"{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t"}}"#;
    /// Long enough for every run to end.
    const PATIENT: Limits = Limits { report_after: KILL_AFTER, ..LIMITS };

    /// A shell script that first adds a line to `runs`.
    fn plugin(directory: &Path, script: &str) -> Plugin {
        let exec = serde_json::json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
            "args": ["-c", format!("cd '{}'; echo run >> runs; {script}", directory.display())]});
        Plugin::new(serde_json::from_value(exec).unwrap()).unwrap()
    }

    fn runs(directory: &Path) -> usize {
        fs::read_to_string(directory.join("runs")).unwrap_or_default().lines().count()
    }

    #[tokio::test]
    async fn a_plugin_that_hangs_is_reported_and_may_still_answer() {
        let directory = tempfile::tempdir().unwrap();
        let plugin = plugin(directory.path(), &format!("until test -f go; do sleep 0.01; done; echo '{ANSWER}'"));
        let mut runner = Runner::default();
        let impatient = Limits { report_after: Duration::ZERO, wait_again: Duration::ZERO, ..LIMITS };
        let hangs = Err(PluginError::Hangs { command: "sh".into() });
        for _ in 0..2 {
            assert_eq!(runner.credential_within(plugin.clone(), impatient).await, hangs);
        }
        fs::write(directory.path().join("go"), "").unwrap();
        assert!(runner.credential_within(plugin, PATIENT).await.is_ok());
        assert_eq!(runs(directory.path()), 1);
    }

    #[tokio::test]
    async fn a_plugin_is_killed_at_its_limit() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { kill_after: Duration::from_millis(1), ..PATIENT };
        let error = Runner::default().credential_within(plugin(directory.path(), "sleep 600"), limits).await;
        assert!(matches!(error, Err(PluginError::Killed { .. })), "{error:?}");
    }

    #[tokio::test]
    async fn a_failure_is_valid_for_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let plugin = plugin(directory.path(), "exit 3");
        let mut runner = Runner::default();
        let patient = Limits { retry_after: Duration::MAX, ..PATIENT };
        let first = runner.credential_within(plugin.clone(), patient).await;
        assert!(matches!(first, Err(PluginError::Failed { .. })), "{first:?}");
        assert_eq!(runner.credential_within(plugin.clone(), patient).await, first);
        assert_eq!(runs(directory.path()), 1);
        let other =
            runner.credential_within(self::plugin(directory.path(), &format!("echo '{ANSWER}'")), patient).await;
        assert!(other.is_ok(), "the kubeconfig has changed: {other:?}");
        let impatient = Limits { retry_after: Duration::ZERO, ..PATIENT };
        assert_eq!(runner.credential_within(plugin, impatient).await, first);
        assert_eq!(runs(directory.path()), 3);
    }
}
