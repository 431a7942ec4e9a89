//! The conformance suite against the HNS of this system, or against an emulator's service.
//!
//! `conformance` asks the DLLs of Windows; `conformance HOST:PORT` asks a service over TCP. It creates networks with names that start with
//! `conformance-`, and deletes them. It prints each answer, and `--survey FILE` writes all of them as a survey.
//!
//! Exit code 1 if an answer is not the expected one, or HNS is unavailable.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod system;

use std::fs;
use std::process::ExitCode;

use hcn_emulator::conformance;
use hcn_survey::Finding;

fn run() -> Result<bool, String> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let file = match arguments.iter().position(|argument| argument == "--survey") {
        Some(index) if index + 1 < arguments.len() => arguments.drain(index..index + 2).nth(1),
        Some(_) => return Err("missing FILE after --survey".into()),
        None => None,
    };
    let address = arguments.into_iter().next();
    let of = address.as_ref().map_or_else(|| "HNS of this system".to_owned(), |address| format!("HNS at {address}"));
    let description = format!("conformance suite {}: {of}", env!("CARGO_PKG_VERSION"));
    let survey = conformance::survey(system::hns(address)?, description, print).map_err(|error| error.to_string())?;
    if let Some(file) = file {
        let text = serde_json::to_string_pretty(&survey).map_err(|error| error.to_string())?;
        fs::write(&file, text + "\n").map_err(|error| format!("cannot write {file}: {error}"))?;
    }
    Ok(survey.has_other())
}

fn print(Finding { check, observed, expected, verdict, detail, .. }: &Finding) {
    let mut line = format!("{:9} {}: {observed}", verdict.as_str(), check.text());
    if !expected.is_empty() && !expected.contains(observed) {
        line += &format!(", expected {}", expected.join(" or "));
    }
    line.extend(detail.as_ref().map(|detail| format!(" ({detail})")));
    println!("{line}");
}

fn main() -> ExitCode {
    match run() {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
