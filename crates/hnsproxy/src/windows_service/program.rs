//! Identifies the program of a service: kube-proxy, hnsproxy, or another one. The name of the file does not count.
#![cfg_attr(not(windows), allow(dead_code, reason = "only Windows has services"))]

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::command_line::same_path;

/// In the build information of each kube-proxy, which the Go compiler writes. Other programs of Kubernetes print the same version.
const KUBE_PROXY_MARK: &[u8] = b"k8s.io/kubernetes/cmd/kube-proxy";
/// In the texts of each hnsproxy, and in what it prints as its version.
const OWN_NAME: &str = "hnsproxy";
const KUBERNETES_VERSION: &str = "Kubernetes v";
/// How long a program may take to print its version. kube-proxy needs less than a second.
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);
/// The length of a version that is shown.
const MAX_VERSION: usize = 100;

/// What is known of a program file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) sha256: String,
    /// Whether the file has the build information of kube-proxy.
    pub(super) is_kube_proxy_build: bool,
    /// What it prints with `--version`.
    pub(super) version: Option<String>,
}

/// The program that decides.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) path: String,
    pub(super) sha256: String,
}

/// What a program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProgramKind {
    Hnsproxy { version: String },
    KubeProxy { version: String },
    Other,
}

impl fmt::Display for ProgramKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hnsproxy { version } => write!(f, "hnsproxy ({version})"),
            Self::KubeProxy { version } => write!(f, "kube-proxy ({version})"),
            Self::Other => f.write_str("neither kube-proxy nor hnsproxy"),
        }
    }
}

/// Decides by the path, the hash and the version of a program. `evidence` is None if the file cannot be read.
pub(super) fn kind(program: &str, evidence: Option<&Evidence>, own: &Own) -> ProgramKind {
    let version = evidence.and_then(|evidence| evidence.version.clone()).unwrap_or_default();
    let is_own_file = evidence.is_some_and(|evidence| evidence.sha256 == own.sha256);
    let is_kube_proxy_build = evidence.is_some_and(|evidence| evidence.is_kube_proxy_build);
    if is_own_file || same_path(program, &own.path) || version.contains(OWN_NAME) {
        // This program need not be run for its version.
        let version = if version.is_empty() { env!("CARGO_PKG_VERSION").to_owned() } else { version };
        return ProgramKind::Hnsproxy { version };
    }
    if is_kube_proxy_build && version.starts_with(KUBERNETES_VERSION) {
        return ProgramKind::KubeProxy { version };
    }
    ProgramKind::Other
}

/// Reads a program, and runs it with `--version` if it may be kube-proxy or hnsproxy.
///
/// # Errors
/// If the file cannot be read. A program that does not print its version is not an error.
pub(super) fn inspect(path: &Path) -> io::Result<Evidence> {
    let content = fs::read(path)?;
    let is_kube_proxy_build = contains(&content, KUBE_PROXY_MARK);
    // Any other program is not run: it could do anything with this argument.
    let version = if is_kube_proxy_build || contains(&content, OWN_NAME.as_bytes()) { version(path) } else { None };
    Ok(Evidence { sha256: sha256(&content), is_kube_proxy_build, version })
}

/// In lower-case hexadecimal digits, as `sha256sum` prints it.
pub(super) fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}

/// None if the program does not print it within [`VERSION_TIMEOUT`].
fn version(path: &Path) -> Option<String> {
    let mut command = Command::new(path);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Running(command.spawn().ok()?);
    let mut output = child.0.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    // The output of a program that hangs ends when it is killed.
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = io::Read::read_to_end(&mut io::Read::take(&mut output, 64 << 10), &mut text);
        let _ = sender.send(text);
    });
    let text = receiver.recv_timeout(VERSION_TIMEOUT).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().next().map(|line| line.trim().chars().take(MAX_VERSION).collect())
}

/// Ends the program when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Own {
        Own { path: r"C:\k\hnsproxy.exe".into(), sha256: "own".into() }
    }

    fn evidence(sha256: &str, is_kube_proxy_build: bool, version: &str) -> Evidence {
        let version = (!version.is_empty()).then(|| version.to_owned());
        Evidence { sha256: sha256.into(), is_kube_proxy_build, version }
    }

    #[test]
    fn a_program_is_decided_by_its_path_hash_and_version() {
        const KUBERNETES: &str = "Kubernetes v1.36.2";
        const HNSPROXY: &str = "Kubernetes v1.36.0 (hnsproxy 0.1.0)";
        let hnsproxy = |version: &str| ProgramKind::Hnsproxy { version: version.into() };
        let built = env!("CARGO_PKG_VERSION");
        let kube_proxy = ProgramKind::KubeProxy { version: KUBERNETES.into() };
        let table = [
            // This file, whether or not it can be read.
            (r"c:\K\HNSPROXY.exe", None, hnsproxy(built)),
            (r"C:\k\hnsproxy.exe", Some(evidence("own", true, "")), hnsproxy(built)),
            // Renamed, or a copy in the place of kube-proxy.
            (r"C:\k\proxy.exe", Some(evidence("own", true, HNSPROXY)), hnsproxy(HNSPROXY)),
            (r"C:\k\kube-proxy.exe", Some(evidence("own", true, "")), hnsproxy(built)),
            // Another release.
            (r"C:\old\proxy.exe", Some(evidence("other", false, HNSPROXY)), hnsproxy(HNSPROXY)),
            // kube-proxy, whatever the name of its file.
            (r"C:\k\kube-proxy.exe", Some(evidence("other", true, KUBERNETES)), kube_proxy.clone()),
            (r"D:\hnsproxy.exe", Some(evidence("other", true, KUBERNETES)), kube_proxy),
            // The kubelet prints the same version.
            (r"C:\k\kube-proxy.exe", Some(evidence("other", false, KUBERNETES)), ProgramKind::Other),
            (r"C:\k\kube-proxy.exe", Some(evidence("other", true, "")), ProgramKind::Other),
            (r"D:\hnsproxy.exe", Some(evidence("other", false, "")), ProgramKind::Other),
            (r"D:\hnsproxy.exe", None, ProgramKind::Other),
            ("", None, ProgramKind::Other),
        ];
        for (program, evidence, expected) in table {
            assert_eq!(kind(program, evidence.as_ref(), &own()), expected, "{program} {evidence:?}");
        }
    }

    #[test]
    fn the_hash_is_that_of_sha256sum() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[cfg(unix)]
    #[test]
    fn only_a_program_that_may_be_a_proxy_is_run() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let inspected = |name: &str, script: String| {
            let path = directory.path().join(name);
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            inspect(&path).unwrap()
        };
        let mark = String::from_utf8_lossy(KUBE_PROXY_MARK);
        let found = inspected("kube-proxy", format!("#!/bin/sh\n# {mark}\necho Kubernetes v1.36.2; echo more\n"));
        assert_eq!((found.is_kube_proxy_build, found.version.as_deref()), (true, Some("Kubernetes v1.36.2")));
        let touched = directory.path().join("touched");
        let found = inspected("other", format!("#!/bin/sh\ntouch {}\n", touched.display()));
        assert_eq!((found.is_kube_proxy_build, found.version, touched.exists()), (false, None, false));
        inspect(&directory.path().join("missing")).unwrap_err();
    }
}
