//! Tests `hnsproxy service replace`, `restore` and `status` with Wine's service control manager.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Result, ensure};

use super::recording::Recording;
use super::service::{NAME, Prepared, Report, fail, has_event_source, start, succeed, until, wine};
use crate::http::{free_addresses, get};
use crate::process::Guarded;
use crate::wine::Prefix;
use crate::{folder, windows};

/// A service that is not kube-proxy's.
const OTHER: &str = "hnsproxy-bench-other";
/// A service whose program starts another one, as NSSM does.
const HOSTED: &str = "hnsproxy-bench-hosted";
const HOSTED_PARAMETERS: &str = r"HKLM\System\CurrentControlSet\Services\hnsproxy-bench-hosted\Parameters";
const PROGRAM: &str = r"C:\k\kube-proxy.exe";

/// The folder of the replaced program, empty at first. Removes the services of the case when dropped.
struct Node<'a> {
    prefix: &'a Prefix,
    folder: PathBuf,
    original: Vec<u8>,
}

impl<'a> Node<'a> {
    fn new(prefix: &'a Prefix) -> Result<Self> {
        let folder = prefix.drive_c().join("k");
        let node = Self { prefix, folder: folder.clone(), original: Vec::new() };
        node.remove_services();
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let program = folder.join("kube-proxy.exe");
        windows::compile_program(&folder::root()?.join("xtask/src/kube_proxy.c"), &program, &["advapi32"])?;
        Ok(Self { prefix, folder, original: fs::read(program)? })
    }

    fn remove_services(&self) {
        for name in [NAME, OTHER, HOSTED] {
            // Fails if it does not exist or has stopped.
            let _ = wine(self.prefix, &["net", "stop", name]);
            let _ = wine(self.prefix, &["sc", "delete", name]);
        }
    }

    fn create(&self, name: &str, command_line: &str) -> Result<()> {
        succeed(self.prefix, &["sc", "create", name, "binPath=", command_line]).map(drop)
    }

    /// Gives the service other arguments.
    fn set_arguments(&self, arguments: &[&str]) -> Result<()> {
        let _ = wine(self.prefix, &["net", "stop", NAME]);
        until("the service to stop", || Ok(Report::query(self.prefix)?.state == "STOPPED"))?;
        succeed(self.prefix, &["sc", "delete", NAME])?;
        self.create(NAME, &[&[PROGRAM], arguments].concat().join(" "))?;
        start(self.prefix)
    }

    /// As before any replacement: the same bytes, no other file than the lock, and the service runs.
    fn ensure_original(&self) -> Result<()> {
        ensure!(fs::read(self.folder.join("kube-proxy.exe"))? == self.original, "the original program is not back");
        let names: Vec<_> = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.file_name())).collect::<Result<_>>()?;
        let is_left = |name: &&OsString| !["kube-proxy.exe", "kube-proxy.exe.lock"].contains(&&*name.to_string_lossy());
        ensure!(names.iter().filter(is_left).count() == 0, "files are left: {names:?}");
        let report = Report::query(self.prefix)?;
        ensure!(report.state == "RUNNING", "{report:?}");
        Ok(())
    }

    fn record(&self) -> String {
        fs::read_to_string(self.folder.join("kube-proxy.exe.hnsproxy.json")).unwrap_or_default()
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        self.remove_services();
    }
}

/// The flags of a metrics address with TLS, with the files of a new certificate.
fn certificate_flags(prefix: &Prefix) -> Result<[String; 2]> {
    let generated = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(prefix.drive_c().join("k-tls.crt"), generated.cert.pem())?;
    fs::write(prefix.drive_c().join("k-tls.key"), generated.signing_key.serialize_pem())?;
    Ok([r"--metrics-tls-cert-file=C:\k-tls.crt", r"--metrics-tls-key-file=C:\k-tls.key"].map(str::to_owned))
}

/// A replacement, a failed start, and a process that is killed in the middle: each ends with the original program, byte for byte.
pub(super) fn runs(recording: &Recording, program: &Path, prefix: &Prefix) -> Result<()> {
    let hns = recording.hns()?;
    let exe = program.to_string_lossy();
    let [health, metrics] = free_addresses()?;
    let from = format!("--from={}", recording.cluster_in_wine());
    let (health, address) = (format!("--healthz-bind-address={health}"), format!("--metrics-bind-address={metrics}"));
    let mut flags = vec!["--windows-service", from.as_str(), &health, &address, r"--log-file=C:\k-log.txt"];
    flags.extend(recording.flags.iter().map(String::as_str));
    let log = || fs::read_to_string(prefix.drive_c().join("k-log.txt")).unwrap_or_default();
    let _prepared = Prepared::new(prefix, &exe, &hns.address().to_string())?;
    // As for the service of hnsproxy: Wine ends its services with the last other program.
    let _keeper = prefix.start_waiting()?;
    let node = Node::new(prefix)?;
    fail(prefix, &[&exe, "service", "replace"], "service kube-proxy or kubeproxy not found")?;
    node.create(OTHER, r"C:\windows\system32\cmd.exe /c C:\k\hnsproxy.exe")?;
    fail(prefix, &[&exe, "service", "replace", "--name", OTHER], "neither kube-proxy nor hnsproxy")?;
    fail(prefix, &[&exe, "service", "uninstall", "--name", OTHER], "not this program")?;

    node.create(HOSTED, r"C:\windows\system32\cmd.exe")?;
    succeed(prefix, &["reg", "add", HOSTED_PARAMETERS, "/v", "Application", "/d", PROGRAM, "/f"])?;
    let output = succeed(prefix, &[&exe, "service", "replace", "--dry-run", "--name", HOSTED])?;
    ensure!(output.contains(&format!("program: {PROGRAM}")), "{output}");

    node.create(NAME, &[&[PROGRAM], &flags[..]].concat().join(" "))?;
    start(prefix)?;
    let output = succeed(prefix, &[&exe, "service", "replace", "--dry-run"])?;
    ensure!(output.contains("kube-proxy (Kubernetes v1.36.2)") && output.contains("stop the service"), "{output}");
    node.ensure_original()?;
    fail(prefix, &[&exe, "service", "uninstall"], "not this program")?;
    fail(prefix, &[&exe, "service", "restore"], "nothing to restore")?;

    succeed(prefix, &[&exe, "service", "replace"]).map_err(|error| error.context(log()))?;
    ensure!(fs::read(node.folder.join("kube-proxy.exe"))? == fs::read(program)?, "the program was not replaced");
    ensure!(get(metrics, "/readyz").is_some_and(|page| page.code == 200), "not ready: {}", log());
    ensure!(has_event_source(prefix)?, "the source of events is not registered");
    let output = succeed(prefix, &[&exe, "service", "status"])?;
    ensure!(output.contains("it is hnsproxy") && output.contains("original: kube-proxy"), "{output}");
    ensure!(output.contains(": ready"), "{output}");
    fail(prefix, &[&exe, "service", "uninstall"], "hnsproxy service restore")?;
    succeed(prefix, &[&exe, "service", "restore"])?;
    node.ensure_original()?;
    ensure!(!has_event_source(prefix)?, "the source of events is still registered");

    let certificate = certificate_flags(prefix)?;
    node.set_arguments(&[&flags[..], &certificate.each_ref().map(String::as_str)].concat())?;
    succeed(prefix, &[&exe, "service", "replace"]).map_err(|error| error.context(log()))?;
    ensure!(get(metrics, "/readyz").is_some_and(|page| page.code == 400), "an answer without TLS: {}", log());
    let output = succeed(prefix, &[&exe, "service", "status"])?;
    ensure!(output.contains(": ready"), "{output}");
    succeed(prefix, &[&exe, "service", "restore"])?;
    node.ensure_original()?;

    node.set_arguments(&["--windows-service", r"--config=C:\k\missing.yaml"])?;
    fail(prefix, &[&exe, "service", "replace"], "was rolled back")?;
    node.ensure_original()?;

    let mut never_ready = flags.clone();
    never_ready.push("--network-name=missing");
    node.set_arguments(&never_ready)?;
    fail(prefix, &[&exe, "service", "replace", "--timeout=2"], "/readyz did not answer 200 within 2 s")?;
    node.ensure_original()?;

    let mut replace = prefix.command();
    replace.arg(program).args(["service", "replace", "--timeout=600"]);
    let replace = Guarded(replace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    until("the replacement to wait", || Ok(node.record().contains("awaitReady")))?;
    // Kills it.
    drop(replace);
    fail(prefix, &[&exe, "service", "replace"], "was interrupted")?;
    succeed(prefix, &[&exe, "service", "restore"])?;
    node.ensure_original()
}
