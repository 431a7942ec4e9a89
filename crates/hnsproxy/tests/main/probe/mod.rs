//! `probe`: what it finds, whether that is expected, and what it leaves behind.

mod like;
mod page;
mod read_only;
mod write;

use hcn_emulator::{Build, Emulator, testing};
use serde_json::Value;

use crate::support::hns::Hns;
use crate::support::program::{Ended, hnsproxy};

/// A build, and what is changed of its emulator.
type Case<'a> = (&'a str, &'a dyn Fn(&Emulator));

/// An HNS of a build, with one network.
fn hns_of(build: &str, network_type: &str) -> Hns {
    let build: Build = build.parse().unwrap();
    let hns = Hns::on(&testing::host(&build.version.to_string(), &[network_type]));
    hns.emulator.change_build(build);
    hns
}

fn probe(hns: &Hns, flags: &[&str]) -> Ended {
    hnsproxy(&[&["probe", &hns.flag(), "-o=json"], flags].concat())
}

/// The answers by check: what was observed, and the verdict.
fn answers(survey: &Value) -> Vec<(String, String, String)> {
    let text = |finding: &Value, member: &str| finding[member].as_str().unwrap().to_owned();
    let row = |finding| (text(finding, "check"), text(finding, "observed"), text(finding, "verdict"));
    survey["findings"].as_array().unwrap().iter().map(row).collect()
}

/// The answer to one check.
fn answer(survey: &Value, check: &str) -> (String, String) {
    let found = answers(survey).into_iter().find(|(name, ..)| name == check);
    let (_, observed, verdict) = found.unwrap_or_else(|| panic!("no {check}: {survey:#}"));
    (observed, verdict)
}

fn pair(observed: &str, verdict: &str) -> (String, String) {
    (observed.to_owned(), verdict.to_owned())
}
