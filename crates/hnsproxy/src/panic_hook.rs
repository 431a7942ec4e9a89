//! What a panic ends: a connection or a helper of the background thread, or else the process.
//!
//! The release unwinds, so that one HTTP request or one read of credentials, which handle input from outside, cannot end the Service proxy of
//! a node. Anything else that panics ends the process at once, without unwinding: a control loop with a state that is half changed, a worker
//! for which the others wait, or a list/watch that has ended unnoticed would be worse than a restart, which changes nothing in HNS.

use std::any::Any;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cluster_source::cluster::kill_plugins;
use tracing::error;

use crate::log;

/// The threads with these names contain panics: the background thread, and its blocking threads. [`Background`](crate::background::Background)
/// ends the process if one of its own tasks panics.
pub const CONTAINING_THREADS: &str = "background";

/// How long the report of a panic may take. The thread that panics may hold a lock of the log, and what receives the report may hang.
const MAX_REPORT: Duration = Duration::from_secs(1);
/// The name of the threads that report a panic.
const REPORTING_THREAD: &str = "panic-report";

static ALSO_REPORT: OnceLock<fn(&str)> = OnceLock::new();

/// Reports each panic to a second place, in addition to the log. Only the first call has an effect.
pub fn also_report(report: fn(&str)) {
    let _ = ALSO_REPORT.set(report);
}

/// Reports each panic, and ends the process unless the thread contains it.
pub fn install() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("without a name");
        if name == REPORTING_THREAD {
            // Reporting this panic could panic again.
            default(panic);
            abort();
        }
        let message = format!("panic in thread {name}: {}; this is a bug in hnsproxy", description(panic));
        if tracing::dispatcher::has_been_set() {
            // A Windows service has no standard error.
            report(&message, |message| error!("{message}"));
        } else {
            default(panic);
        }
        if let Some(also_report) = ALSO_REPORT.get() {
            report(&message, also_report);
        }
        if name != CONTAINING_THREADS {
            abort();
        }
    }));
}

fn abort() -> ! {
    report("", |_| log::end());
    kill_plugins();
    std::process::abort()
}

/// Calls `to` on a thread of its own, and waits for its end, but not longer than [`MAX_REPORT`].
fn report(message: &str, to: impl Fn(&str) + Send + 'static) {
    let message = message.to_owned();
    let (done, ended) = mpsc::channel::<()>();
    let work = move || {
        to(&message);
        drop(done);
    };
    if thread::Builder::new().name(REPORTING_THREAD.to_owned()).spawn(work).is_ok() {
        // Nothing is sent. The call returns when the sender is dropped.
        let _ = ended.recv_timeout(MAX_REPORT);
    }
}

/// Ends the process after a panic that must not be contained. The hook has logged it.
pub fn end_process() -> ! {
    // The log may hang, as in the hook.
    report("ending the process after a panic of a background task; HNS keeps its state", |message| error!("{message}"));
    abort()
}

fn description(panic: &PanicHookInfo<'_>) -> String {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    format!("{} at {location}", message(panic.payload()))
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, ExitStatus, Stdio};

    use tokio::task::{spawn_blocking, spawn_local};

    use super::*;
    use crate::background::Background;

    /// A variable of the environment of a child: the file for its second report.
    const REPORT_FILE: &str = "PANIC_REPORT_FILE";

    /// Runs an ignored test of this module in a process of its own. `report` is the file for its second report.
    fn run_with(name: &str, report: &Path) -> ExitStatus {
        let test = format!("panic_hook::tests::{name}");
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", &test, "--ignored"]).env(REPORT_FILE, report);
        child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
    }

    fn run(name: &str) -> ExitStatus {
        run_with(name, Path::new(""))
    }

    fn write_report(message: &str) {
        std::fs::write(std::env::var_os(REPORT_FILE).unwrap(), message).unwrap();
    }

    /// Ends the test unless a child was aborted. One whose test fails has exit code 101; an aborted one on Unix has none.
    #[track_caller]
    fn assert_aborted(status: ExitStatus) {
        assert!(!status.success() && status.code() != Some(101), "{status}");
    }

    #[test]
    fn a_panic_is_reported_to_the_second_place_before_the_process_ends() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_aborted(run_with("child_with_a_second_report", file.path()));
        let report = std::fs::read_to_string(file.path()).unwrap();
        assert!(report.starts_with("panic in thread worker: on purpose at "), "{report}");
    }

    #[test]
    fn a_log_that_hangs_delays_the_end_of_the_process_only_for_a_moment() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_aborted(run_with("child_with_a_log_that_hangs", file.path()));
        let report = std::fs::read_to_string(file.path()).unwrap();
        assert!(report.starts_with("panic in thread worker: on purpose at "), "{report}");
        assert_aborted(run("child_with_a_background_task_and_a_log_that_hangs"));
    }

    #[test]
    fn a_panic_of_a_connection_or_a_blocking_helper_ends_nothing_else() {
        assert!(run("child_with_contained_panics").success());
    }

    #[test]
    fn any_other_panic_ends_the_process() {
        for name in ["child_with_a_panic_in_a_thread", "child_with_a_panic_in_a_background_task"] {
            assert_aborted(run(name));
        }
    }

    #[test]
    #[ignore = "run by another test"]
    fn child_with_contained_panics() {
        install();
        let background = Background::start().unwrap();
        let (sender, results) = std::sync::mpsc::channel();
        let _task = background.spawn(move |_| async move {
            let connection = spawn_local(async { panic!("on purpose") }).await;
            let helper = spawn_blocking(|| panic!("on purpose")).await;
            sender.send((connection.is_err(), helper.is_err())).unwrap();
        });
        assert_eq!(results.recv(), Ok((true, true)));
    }

    #[test]
    #[ignore = "run by another test"]
    fn child_with_a_panic_in_a_thread() {
        install();
        let _ = thread::Builder::new().name("worker".into()).spawn(|| panic!("on purpose")).unwrap().join();
    }

    #[test]
    #[ignore = "run by another test"]
    fn child_with_a_panic_in_a_background_task() {
        install();
        let background = Background::start().unwrap();
        // Waits for the end of the task.
        drop(background.spawn(|_| async { panic!("on purpose") }));
    }

    #[test]
    #[ignore = "run by another test"]
    fn child_with_a_background_task_and_a_log_that_hangs() {
        start_log_that_hangs();
        install();
        let background = Background::start().unwrap();
        drop(background.spawn(|_| async { panic!("on purpose") }));
    }

    #[test]
    #[ignore = "run by another test"]
    fn child_with_a_second_report() {
        install();
        also_report(write_report);
        let _ = thread::Builder::new().name("worker".into()).spawn(|| panic!("on purpose")).unwrap().join();
    }

    fn start_log_that_hangs() {
        /// Hangs in each line, as a pipe that nobody reads.
        struct Hangs;

        impl std::io::Write for Hangs {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                loop {
                    thread::park();
                }
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        tracing_subscriber::fmt().with_writer(|| Hangs).init();
    }

    #[test]
    #[ignore = "run by another test"]
    fn child_with_a_log_that_hangs() {
        start_log_that_hangs();
        install();
        also_report(write_report);
        let _ = thread::Builder::new().name("worker".into()).spawn(|| panic!("on purpose")).unwrap().join();
    }
}
