//! Runs the program, and what it is given.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The result as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// A number of the last line that counts calls: `native_calls` or `writes`.
    pub(crate) fn count(&self, field: &str) -> u64 {
        let line =
            self.stderr.lines().rfind(|line| line.contains("native_calls=")).unwrap_or_else(|| panic!("{self:#?}"));
        let value = |word: &str| word.strip_prefix(field)?.strip_prefix('=')?.parse().ok();
        line.split(' ').find_map(value).unwrap_or_else(|| panic!("{field}: {line}"))
    }

    /// Ends the test unless the program ended so.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Ends the test unless the log has a text.
    pub(crate) fn logs(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in\n{}", self.stderr);
        self
    }
}

/// How long anything may take: much longer than it takes.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// Waits until something is so.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    #[allow(clippy::disallowed_methods, reason = "bounds a wait")]
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < BOUND, "{what}: not so after {BOUND:?}");
        std::thread::yield_now();
    }
}

/// The program at work; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    log: Receiver<String>,
    /// Where it answers health checks.
    pub(crate) health: SocketAddr,
    /// Where it has metrics, and all else that may be asked.
    pub(crate) metrics: SocketAddr,
}

impl Running {
    /// Starts the program, at addresses that no other test has.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let [health, metrics] = free_addresses();
        Self::start_at(health, metrics, arguments)
    }

    /// Starts the program at addresses.
    pub(crate) fn start_at(health: SocketAddr, metrics: SocketAddr, arguments: &[&str]) -> Self {
        let addresses = [format!("--healthz-bind-address={health}"), format!("--metrics-bind-address={metrics}")];
        let mut child =
            command(arguments).args(addresses).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        Self { child, log, health, metrics }
    }

    /// Waits until the log has a line with a text, and answers that line. Lines before it are passed over.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.lines_to(text).pop().unwrap_or_default()
    }

    /// Waits until the log has a line with a text, and answers all lines since the last that was waited for, that one included.
    pub(crate) fn lines_to(&self, text: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        loop {
            match self.log.recv_timeout(BOUND) {
                Ok(line) => lines.push(line),
                Err(_) => panic!("{text:?} was not logged, but\n{}", lines.join("\n")),
            }
            if lines.last().is_some_and(|line| line.contains(text)) {
                return lines;
            }
        }
    }

    /// Waits until the program has ended by itself, and answers its exit code.
    pub(crate) fn code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Asks the program to end, and waits until it has, without an error.
    #[cfg(unix)]
    pub(crate) fn end(mut self) {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        self.wait_for("shut down; HNS keeps its state");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with arguments, in an environment that names no network.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hnsproxy"));
    command.args(arguments).env_remove("KUBE_NETWORK");
    command
}

/// Runs the program to its end.
pub(crate) fn hnsproxy(arguments: &[&str]) -> Ended {
    ended(&mut command(arguments))
}

/// Runs a command to its end.
pub(crate) fn ended(command: &mut Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
}

/// Addresses of this host at which nobody listens.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

/// A file of a recording.
pub(crate) fn recording(name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name).join(file)
}

/// `--hns=emulated:` of a host document.
pub(crate) fn emulated(host: &Path) -> String {
    format!("--hns=emulated:{}", host.display())
}

/// `--from=` of a file or directory.
pub(crate) fn from(path: &Path) -> String {
    format!("--from={}", path.display())
}
