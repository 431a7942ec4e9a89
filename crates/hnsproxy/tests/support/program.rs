//! Runs of the program to their end, and its arguments.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// What `-o json` printed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Ends the test unless this is the exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Ends the test if the output contains this secret.
    #[track_caller]
    pub(crate) fn hides(self, secret: &str) -> Self {
        assert!(!self.stdout.contains(secret) && !self.stderr.contains(secret), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// The program with arguments, in an environment that names no network.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hnsproxy"));
    command.args(arguments).env_remove("KUBE_NETWORK");
    command
}

/// The program with arguments, started from a shell after a command, such as `ulimit`.
#[cfg(unix)]
pub(crate) fn command_after(setup: &str, arguments: &[&str]) -> Command {
    let program = command(arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{setup}; exec \"$0\" \"$@\"")]).arg(program.get_program()).args(program.get_args());
    shell.env_remove("KUBE_NETWORK");
    shell
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

/// Addresses of this host at which nothing listens.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

/// `--hns=emulated:` of a host document.
pub(crate) fn emulated(host: &Path) -> String {
    format!("--hns=emulated:{}", host.display())
}

/// `--from=` of a file or directory.
pub(crate) fn from(path: &Path) -> String {
    format!("--from={}", path.display())
}
