//! Runs a program with an emulated HNS of its own: `rig BUILD PROGRAM [ARGUMENT]...`.
//!
//! `HNS_EMULATOR` has the address of the emulator's service for the program. After its end, the numbers of its calls are printed to stdout.
//! The exit code is that of the program.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::process::{Command, ExitCode};
use std::sync::Arc;

use hcn_emulator::{Build, Emulator, Service};

fn run() -> Result<ExitCode, String> {
    let mut arguments = std::env::args().skip(1);
    let build: Build = arguments.next().ok_or("usage: rig BUILD PROGRAM [ARGUMENT]...")?.parse()?;
    let program = arguments.next().ok_or("missing PROGRAM: usage: rig BUILD PROGRAM [ARGUMENT]...")?;
    let emulator = Arc::new(Emulator::new(build));
    let service = Service::bind("127.0.0.1:0", emulator.clone()).and_then(Service::spawn);
    let service = service.map_err(|error| format!("cannot start the service: {error}"))?;
    let status = Command::new(&program)
        .args(arguments)
        .env("HNS_EMULATOR", service.address().to_string())
        .status()
        .map_err(|error| format!("{program}: {error}"))?;
    service.stop();
    for (function, count) in emulator.counters() {
        println!("{count:8} {function}");
    }
    println!("{:8} native calls, of which {} writes", emulator.native_calls(), emulator.writes());
    // An exit code out of range must not become 0.
    Ok(ExitCode::from(status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1))))
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
