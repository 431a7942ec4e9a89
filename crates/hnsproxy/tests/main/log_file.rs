//! The file of `--log-file`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::hns::Hns;
use crate::support::http::get;
use crate::support::program::hnsproxy;
use crate::support::recording::{cluster_flag, host_flag};
use crate::support::running::Running;
use crate::support::wait::wait_until;

const NAME: &str = "boutique-l2bridge";

fn flag(file: &Path) -> String {
    format!("--log-file={}", file.display())
}

fn start(file: &Path) -> (Hns, Running) {
    let hns = Hns::of(NAME);
    let running = Running::start(&[&cluster_flag(NAME), &hns.flag(), &flag(file)]);
    (hns, running)
}

/// The log on `/statusz`.
fn log(running: &Running) -> Value {
    get(running.metrics, "/statusz?format=json").unwrap().json()["log"].clone()
}

fn lost_lines(running: &Running) -> Option<f64> {
    running.metrics_page().metric("hnsproxy_log_lines_lost_total")
}

/// Waits until the file is written, and has lines of the log.
fn wait_until_written(running: &Running, file: &Path) {
    wait_until("the log file to be written", || log(running), |log| log["error"].is_null());
    let is_written = |text: &String| text.lines().any(|line| !line.is_empty());
    wait_until("lines in the log file", || fs::read_to_string(file).unwrap(), is_written);
}

#[test]
fn a_log_file_that_cannot_be_opened_is_reported_and_written_once_it_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("folder").join("log");
    let (_hns, running) = start(&file);
    running.wait_until_in_sync();
    let failed = log(&running);
    assert_eq!(failed["file"], json!(file));
    assert!(failed["error"].is_string() && lost_lines(&running) > Some(0.0), "{failed}");
    fs::create_dir(directory.path().join("folder")).unwrap();
    wait_until_written(&running, &file);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_below_the_log_file_is_reported_until_it_has_space() {
    use std::os::unix::fs::symlink;

    let directory = tempfile::tempdir().unwrap();
    let [link, other, file] = ["log", "new-link", "file"].map(|name| directory.path().join(name));
    symlink("/dev/full", &link).unwrap();
    let (_hns, running) = start(&link);
    running.wait_until_in_sync();
    wait_until("an error of the log file", || log(&running), |log| log["error"].is_string());
    assert!(lost_lines(&running) > Some(0.0));
    symlink(&file, &other).unwrap();
    fs::rename(&other, &link).unwrap();
    wait_until("the log file to be created", || file.exists(), |exists| *exists);
    wait_until_written(&running, &file);
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_cannot_write_its_log_programs_hns() {
    let (hns, directory) = (Hns::of(NAME), tempfile::tempdir().unwrap());
    let file = directory.path().join("folder").join("log");
    for flags in [vec![], vec![flag(&file)]] {
        let given = [vec![cluster_flag(NAME), hns.flag()], flags].concat();
        let given: Vec<_> = given.iter().map(String::as_str).collect();
        Running::start_after("exec 2>/dev/full", &given).wait_until_in_sync();
    }
}

#[cfg(unix)]
#[test]
fn a_log_file_is_not_readable_by_everyone() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log");
    hnsproxy(&["plan", &cluster_flag(NAME), &host_flag(NAME), &flag(&file)]).expect(2);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777 & !0o640, 0);
}

#[test]
fn a_command_runs_without_its_log_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("folder").join("log");
    hnsproxy(&["plan", &cluster_flag(NAME), &host_flag(NAME), &flag(&file)]).expect(2);
}

#[test]
fn without_a_log_file_nothing_is_lost() {
    let hns = Hns::of(NAME);
    let running = Running::start(&[&cluster_flag(NAME), &hns.flag()]);
    running.wait_until_in_sync();
    assert_eq!(log(&running), json!({"file": null, "error": null, "lost_lines": 0}));
    assert_eq!(lost_lines(&running), Some(0.0));
}

/// A file that hangs: a FIFO that nothing reads.
#[cfg(target_os = "linux")]
#[test]
fn a_log_file_that_hangs_delays_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    let (hns, running) = start(&file);
    running.wait_until_in_sync();
    let objects = hns.objects();
    hns.remove(&hns.load_balancers()[0]);
    hns.wait_until_objects_are(&objects);
    assert_eq!(get(running.health, "/healthz").unwrap().code, 200);
    #[allow(clippy::disallowed_methods, reason = "the time limit of a shutdown is documented")]
    let requested = std::time::Instant::now();
    running.signal("TERM");
    assert_eq!(running.exit_code(), Some(0));
    assert!(requested.elapsed() < Duration::from_secs(5), "{:?}", requested.elapsed());
}
