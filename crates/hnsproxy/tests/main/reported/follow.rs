//! Files that are followed, in the states that editors, kubectl and other programs leave them in.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{hns, input, load_balancers};
use crate::support::program::{free_addresses, from};
use crate::support::running::Running;
use crate::support::wait::wait_until;

#[test]
fn case_17_follow_files() {
    let (directory, hns) = (tempfile::tempdir().unwrap(), hns());
    let file = directory.path().join("cluster.yaml");
    let text = fs::read_to_string(input("03-encodings/svc.yaml")).unwrap();
    fs::write(&file, &text).unwrap();
    let running = Running::start(&[&from(&file), &hns.flag()]);
    hns.wait_for_frontend("10.96.10.3");
    let cut_inside_the_service = &text[..text.find("ports").unwrap() + 3];
    for state in ["", " \n\n", "---\n", "# nothing\n", cut_inside_the_service, "{ half"] {
        fs::write(&file, state).unwrap();
        running.wait_until_cluster_available(false);
        assert_eq!(load_balancers(&hns), ["10.96.10.3:80/TCP -> 10.244.2.9 port 8080"], "{state:?}");
        fs::write(&file, &text).unwrap();
        running.wait_until_cluster_available(true);
    }
    fs::remove_file(&file).unwrap();
    running.wait_until_cluster_available(false);
    assert!(hns.has_frontend("10.96.10.3"));
}

/// Writes into a file more often than every 50 ms, until it is dropped.
struct Writer {
    stop: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(file: &Path) -> Self {
        let (stop, stopped) = channel();
        let file = file.to_owned();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
                fs::write(&file, "line\n").unwrap();
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn a_log_beside_the_file_causes_no_reads() {
    let (directory, hns) = (tempfile::tempdir().unwrap(), hns());
    let file = directory.path().join("cluster.yaml");
    fs::copy(input("03-encodings/svc.yaml"), &file).unwrap();
    let log = format!("--log-file={}", directory.path().join("hnsproxy.log").display());
    let running = Running::start(&[&from(&file), &hns.flag(), &log, "-v=4"]);
    hns.wait_for_frontend("10.96.10.3");
    let _writer = Writer::start(&directory.path().join("other.log"));
    hns.wait_for_audit();
    let reads = || running.metrics_page().metric("hnsproxy_cluster_file_reads_total");
    assert_eq!(reads(), Some(0.0));
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("10.96.10.3", "10.96.10.4")).unwrap();
    hns.wait_for_frontend("10.96.10.4");
    wait_until("the read to be counted", reads, |reads| *reads > Some(0.0));
}

#[test]
fn a_changed_configuration_is_taken_up_while_another_program_writes_into_its_folder() {
    let (directory, hns) = (tempfile::tempdir().unwrap(), hns());
    let config = directory.path().join("config");
    let [health, metrics] = free_addresses();
    let text = |dsr: bool| {
        format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
             healthzBindAddress: {health}\nmetricsBindAddress: {metrics}\nwinkernel: {{enableDSR: {dsr}}}\n"
        )
    };
    fs::write(&config, text(false)).unwrap();
    let _writer = Writer::start(&directory.path().join("other.log"));
    let flag = format!("--config={}", config.display());
    let _running = Running::start_at(health, metrics, &[&flag, &from(&input("03-encodings/svc.yaml")), &hns.flag()]);
    hns.wait_for_frontend("10.96.10.3");
    let dsr_flags = || -> Vec<u64> {
        hns.load_balancers().iter().map(|document| document["Flags"].as_u64().unwrap_or_default() & 1).collect()
    };
    assert_eq!(dsr_flags(), [0]);
    fs::write(&config, text(true)).unwrap();
    wait_until("direct server return", dsr_flags, |flags| *flags == [1]);
}
