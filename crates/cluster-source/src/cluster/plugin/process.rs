//! Runs the process of a credential plugin, with bounds for its time and its output. It and its children do not outlive the run.

use std::process::Stdio;
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use super::Plugin;
use super::answer::Credential;
use super::error::{AnswerError, PluginError, Printed};
use super::groups::Registered;

/// In bytes. A certificate chain with its key has a few KiB.
const MAX_ANSWER: usize = 1 << 20;
/// In bytes.
const CHUNK: usize = 8 << 10;

/// A plugin and the processes that it started: a process group, or a job object of Windows. Killed when dropped.
struct Processes {
    plugin: Box<dyn ChildWrapper>,
    /// Whether the plugin has ended and the others were killed: its group may belong to other processes from then on.
    ended: bool,
    registered: Option<Registered>,
}

impl Processes {
    fn start(plugin: &Plugin) -> Result<Self, PluginError> {
        let Plugin { command, arguments, environment, exec_info, .. } = plugin;
        let mut wrapped = CommandWrap::with_new(command, |command| {
            command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
            command.env("KUBERNETES_EXEC_INFO", exec_info);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        });
        wrapped.wrap(KillOnDrop);
        #[cfg(unix)]
        wrapped.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        wrapped.wrap(process_wrap::tokio::JobObject);
        match wrapped.spawn() {
            Ok(plugin) => {
                let registered = plugin.id().map(Registered::new);
                Ok(Self { plugin, ended: false, registered })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let install_hint = plugin.install_hint.clone();
                Err(PluginError::NotInstalled { command: command.clone(), install_hint })
            }
            Err(error) => Err(PluginError::Start { command: command.clone(), reason: error.to_string() }),
        }
    }

    /// Waits for the end of the plugin, and kills what it left behind: such a process may hold its output open indefinitely.
    async fn end(&mut self) -> std::io::Result<std::process::ExitStatus> {
        let status = self.plugin.inner_mut().wait().await;
        // Fails if nothing is left.
        let _ = self.plugin.start_kill();
        self.ended = true;
        self.registered = None;
        status
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        if !self.ended {
            // Fails if nothing is left.
            let _ = self.plugin.start_kill();
        }
    }
}

/// What a plugin printed so far.
#[derive(Default)]
struct Output {
    answer: Vec<u8>,
    printed: Printed,
}

/// Why a run ended early.
enum Abort {
    Io(std::io::Error),
    TooLong,
}

/// Runs a plugin, for at most `limit`. Dropping the future kills it.
pub(super) async fn run(plugin: &Plugin, limit: Duration) -> Result<Credential, PluginError> {
    let command = plugin.command.clone();
    let mut processes = Processes::start(plugin)?;
    let (stdout, stderr) = (processes.plugin.stdout().take(), processes.plugin.stderr().take());
    let (mut answer, mut errors) = (Output::default(), 0);
    let run = async {
        tokio::try_join!(
            async { processes.end().await.map_err(Abort::Io) },
            read(stdout, &mut answer),
            count(stderr, &mut errors)
        )
    };
    let result = timeout(limit, run).await;
    let printed = Printed { stderr: errors, ..answer.printed };
    let invalid = |error| PluginError::Answer { command: command.clone(), error, printed };
    match result {
        Err(_) => Err(PluginError::Killed { command, printed }),
        Ok(Err(Abort::TooLong)) => Err(invalid(AnswerError::TooLong)),
        Ok(Err(Abort::Io(error))) => Err(PluginError::Start { command, reason: error.to_string() }),
        Ok(Ok((status, (), ()))) if !status.success() => {
            Err(PluginError::Failed { command, status: status.to_string(), printed })
        }
        Ok(Ok(_)) => Credential::read(&answer.answer, &plugin.api_version).map_err(invalid),
    }
}

async fn read(stdout: Option<impl AsyncRead + Unpin>, output: &mut Output) -> Result<(), Abort> {
    let Some(mut stdout) = stdout else { return Ok(()) };
    let mut chunk = [0; CHUNK];
    loop {
        let length = stdout.read(&mut chunk).await.map_err(Abort::Io)?;
        if length == 0 {
            return Ok(());
        }
        output.printed.stdout += length as u64;
        if output.answer.len() + length > MAX_ANSWER {
            return Err(Abort::TooLong);
        }
        output.answer.extend_from_slice(chunk.get(..length).unwrap_or_default());
    }
}

/// Reads to the end, and keeps nothing.
async fn count(stderr: Option<impl AsyncRead + Unpin>, bytes: &mut u64) -> Result<(), Abort> {
    let Some(mut stderr) = stderr else { return Ok(()) };
    let mut chunk = [0; CHUNK];
    loop {
        match stderr.read(&mut chunk).await.map_err(Abort::Io)? {
            0 => return Ok(()),
            length => *bytes += length as u64,
        }
    }
}
