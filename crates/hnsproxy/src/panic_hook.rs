//! What a panic ends: a connection or a helper of the background thread, or else the process.
//!
//! The release unwinds, so that one HTTP request or one read of credentials, which handle input from outside, cannot end the Service proxy of
//! a node. Anything else that panics ends the process at once, without unwinding: a control loop with a state that is half changed, a worker
//! for which the others wait, or a list/watch that has ended unnoticed would be worse than a restart, which changes nothing in HNS.

use std::any::Any;
use std::panic::PanicHookInfo;
use std::thread;

use tracing::error;

/// The threads with these names contain panics: the background thread, and its blocking threads. [`Background`](crate::background::Background)
/// ends the process if one of its own tasks panics.
pub const CONTAINING_THREADS: &str = "background";

/// Logs each panic, and ends the process unless the thread contains it.
pub fn install() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("without a name");
        if tracing::dispatcher::has_been_set() {
            // A Windows service has no standard error.
            error!("panic in thread {name}: {}; this is a bug in hnsproxy", description(panic));
        } else {
            default(panic);
        }
        if name != CONTAINING_THREADS {
            std::process::abort();
        }
    }));
}

/// Ends the process after a panic that must not be contained. The hook has logged it.
pub fn end_process() -> ! {
    error!("ending the process after a panic of a background task; HNS keeps its state");
    std::process::abort()
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
    use std::process::{Command, ExitStatus, Stdio};

    use tokio::task::{spawn_blocking, spawn_local};

    use super::*;
    use crate::background::Background;

    /// Runs an ignored test of this module in a process of its own.
    fn run(name: &str) -> ExitStatus {
        let test = format!("panic_hook::tests::{name}");
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", &test, "--ignored"]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
    }

    #[test]
    fn a_panic_of_a_connection_or_a_blocking_helper_ends_nothing_else() {
        assert!(run("child_with_contained_panics").success());
    }

    #[test]
    fn any_other_panic_ends_the_process() {
        for name in ["child_with_a_panic_in_a_thread", "child_with_a_panic_in_a_background_task"] {
            let status = run(name);
            // A test that fails has exit code 101; an aborted process on Unix has none.
            assert!(!status.success() && status.code() != Some(101), "{name}: {status}");
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
}
