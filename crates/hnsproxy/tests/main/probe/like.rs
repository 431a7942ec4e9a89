//! `emulator --like`: an emulator that behaves like the HNS of a survey gets the same survey.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;

use hcn::{Hresult, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::{Emulator, Remote, conformance, testing};
use hcn_survey::{Finding, Survey};
use serde_json::Value;

use super::{Case, answers, hns_of, probe};
use crate::support::program::{Ended, command, free_addresses, hnsproxy};
use crate::support::wait::wait_until;

const FLAGS: [&str; 3] = ["--write", "--yes", "--samples=1"];

/// Killed when dropped.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An emulator that is like a survey, and its address.
fn serve_like(survey: &Path) -> (Service, String) {
    let host = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(host.as_file(), &testing::host("15.5", &["L2Bridge"])).unwrap();
    let [address] = free_addresses();
    let flags = [format!("--listen={address}"), format!("--host={}", host.path().display())];
    let mut command = command(&["emulator", &flags[0], &flags[1], "--like", survey.to_str().unwrap()]);
    let service = Service(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    wait_until("the emulator", || hnsproxy(&["state", &format!("--hns=tcp://{address}")]).code, |code| *code == 0);
    (service, address.to_string())
}

/// The survey of an emulator that is like another survey.
fn survey_like(survey: &Path) -> Value {
    let (_service, address) = serve_like(survey);
    hnsproxy(&[&["probe", &format!("--hns=tcp://{address}"), "-o=json"], &FLAGS[..]].concat()).json()
}

#[test]
fn an_emulator_that_is_like_a_survey_has_its_answers() {
    let quirks = |emulator: &Emulator| {
        emulator.change_quirks(|quirks| {
            quirks.chooses_ids.insert(Kind::LoadBalancer);
            quirks.first_delete_fails = true;
        });
        emulator.change_options(|options| {
            (options.accepts_no_backend, options.fails_in_envelope) = (true, true);
            options.accepts_unknown_members = true;
        });
    };
    let lists = |emulator: &Emulator| {
        for which in [Which::V1List(Kind::LoadBalancer), Which::V2List(Kind::LoadBalancer)] {
            emulator.inject(Fault::of_each(which, Effect::Partial(0)));
        }
    };
    let keeps = |emulator: &Emulator| {
        let delete = Which::Function("HcnDeleteLoadBalancer".into());
        emulator.inject(Fault::of_each(delete, Effect::NoEffect));
    };
    let refuses = |emulator: &Emulator| {
        let modify = Which::Function("HcnModifyLoadBalancer".into());
        emulator.inject(Fault::of_each(modify, Effect::Fail(Hresult::E_NOTIMPL)));
        emulator.change_options(|options| options.drops_unknown_members = true);
    };
    let cases: [Case<'_>; 6] = [
        ("server2025", &|_| {}),
        ("server2019-rtm", &|_| {}),
        ("latest", &quirks),
        ("latest", &lists),
        ("latest", &keeps),
        ("latest", &refuses),
    ];
    for (build, change) in cases {
        let hns = hns_of(build, "L2Bridge");
        change(&hns.emulator);
        let Ended { stdout, .. } = probe(&hns, &FLAGS);
        let survey = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(survey.path(), &stdout).unwrap();
        let (first, second) = (serde_json::from_str(&stdout).unwrap(), survey_like(survey.path()));
        assert_eq!(answers(&second), answers(&first), "{build}");
        assert_eq!(second["host"], first["host"], "{build}");
    }
}

#[test]
fn an_emulator_that_is_like_a_survey_of_the_conformance_suite_has_its_answers() {
    let answers = |survey: &Survey| {
        let answer = |one: &Finding| (one.check, one.observed.clone(), one.verdict);
        survey.findings.iter().map(answer).collect::<Vec<_>>()
    };
    let emulator = Arc::new(Emulator::new("server2022".parse().unwrap()));
    emulator.change_quirks(|quirks| (quirks.leaks_ports, quirks.wants_attached_backends) = (true, true));
    let first = conformance::survey(emulator, "test".to_owned(), |_| {}).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(file.as_file(), &first).unwrap();
    let (_service, address) = serve_like(file.path());
    let second = conformance::survey(Remote::connect_lazily(address), "test".to_owned(), |_| {}).unwrap();
    assert_eq!((answers(&second), second.host), (answers(&first), first.host));
}

#[test]
fn a_survey_of_another_format_is_refused() {
    let survey = tempfile::NamedTempFile::new().unwrap();
    let mut document = probe(&hns_of("latest", "L2Bridge"), &[]).json();
    document["surveyVersion"] = 2.into();
    std::fs::write(survey.path(), document.to_string()).unwrap();
    hnsproxy(&["emulator", "--listen=127.0.0.1:0", "--like", survey.path().to_str().unwrap()]).expect(1);
}
