//! Prints the next notifications of HNS, such as attached endpoints: `watch [COUNT]`, 10 by default.
//!
//! Exit code 1 if HNS is unavailable, or stops.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod system;

use std::process::ExitCode;
use std::sync::{Arc, mpsc};

use hcn::{Event, Hcn};

fn watch(hns: Arc<dyn Hcn>) -> Result<(), String> {
    let count = match std::env::args().nth(1) {
        Some(count) => count.parse().map_err(|error| format!("invalid COUNT {count:?}: {error}"))?,
        None => 10,
    };
    let (sender, receiver) = mpsc::channel();
    // The listener runs on a thread of HNS and must not block. The subscription ends when it is dropped.
    let listener = Box::new(move |notification| drop(sender.send(notification)));
    let _subscription = hns.subscribe(listener).map_err(|error| error.to_string())?;
    println!("waiting for {count} notifications");
    for notification in receiver.iter().take(count) {
        println!("{:?} {:?} {}", notification.event, notification.status, notification.document);
        if notification.event == Event::ServiceDisconnect {
            return Err("HNS has stopped; subscribe again once it runs".into());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    system::with_hns(watch)
}
