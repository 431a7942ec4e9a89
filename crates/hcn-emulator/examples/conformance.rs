//! The conformance suite against the HNS of this system, or against an emulator's service.
//!
//! `conformance` runs it against the DLLs of Windows; `conformance HOST:PORT` against a service over TCP. It creates networks with
//! names that start with `conformance-`, and deletes them. `--survey FILE` also writes the result of each case to a JSON file.
//!
//! Exit code 1 if a case failed or HNS is unavailable.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod system;

use std::fs;
use std::process::ExitCode;

use hcn::{ApiVersion, Client, Features};
use hcn_emulator::conformance::cases;
use serde_json::json;

fn run() -> Result<usize, String> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let survey = match arguments.iter().position(|argument| argument == "--survey") {
        Some(index) if index + 1 < arguments.len() => arguments.drain(index..index + 2).nth(1),
        Some(_) => return Err("missing FILE after --survey".into()),
        None => None,
    };
    let hcn = system::hns(arguments.into_iter().next())?;
    let version = Client::new(hcn.clone(), ApiVersion::V1).version().map_err(|error| error.to_string())?;
    let features = Features::of(version);
    println!("HNS {version}");
    let (mut passed, mut failed) = (0, 0);
    let mut results = Vec::new();
    for case in cases() {
        if !(case.applies)(&features) {
            println!("  n/a   {}", case.name);
            results.push(json!({"case": case.name, "result": "does not apply"}));
            continue;
        }
        match (case.run)(&hcn) {
            Ok(()) => {
                passed += 1;
                println!("  ok    {}", case.name);
                results.push(json!({"case": case.name, "result": "passed"}));
            }
            Err(error) => {
                failed += 1;
                println!("  FAIL  {}: {error}", case.name);
                results.push(json!({"case": case.name, "result": "failed", "error": error}));
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if let Some(file) = survey {
        let survey = json!({"surveyVersion": 1, "hnsVersion": version.to_string(), "cases": results});
        fs::write(&file, format!("{survey:#}\n")).map_err(|error| format!("cannot write {file}: {error}"))?;
    }
    Ok(failed)
}

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
