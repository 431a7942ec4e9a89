//! The conformance suite: what it finds on each build, and that an emulator like its survey gives the same answers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use hcn::{Hresult, Kind};
use hcn_emulator::conformance::{self, checks};
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::{Build, Emulator, Quirks, like};
use hcn_survey::{Check, Finding, Survey, Verdict, answer};

fn survey(emulator: &Arc<Emulator>) -> Survey {
    conformance::survey(emulator.clone(), String::new(), |_| {}).unwrap()
}

fn emulator(build: &str) -> Arc<Emulator> {
    Arc::new(Emulator::new(build.parse().unwrap()))
}

/// The survey without what differs between two runs: times, and ids in messages.
fn answers(survey: &Survey) -> Survey {
    let mut survey = survey.clone();
    survey.findings.iter_mut().for_each(|finding| finding.detail = None);
    survey.timings.iter_mut().for_each(|timing| (timing.p50_ms, timing.max_ms) = (0.0, 0.0));
    survey
}

#[test]
fn every_build_answers_as_expected_and_has_the_same_objects_afterwards() {
    for build in Build::names() {
        let emulator = emulator(build);
        let kinds = [Kind::Network, Kind::Endpoint, Kind::LoadBalancer, Kind::Namespace];
        let objects = || kinds.map(|kind| emulator.documents(kind));
        let before = objects();
        let survey = survey(&emulator);
        let wrong = |finding: &&Finding| {
            finding.verdict == Verdict::Other || [answer::NO, answer::NOT_ASKED].contains(&finding.observed.as_str())
        };
        let wrong: Vec<_> = survey.findings.iter().filter(wrong).collect();
        assert_eq!((wrong, objects()), (vec![], before), "{build}");
        let asked = survey.findings.iter().map(|finding| finding.check);
        let applying: Vec<Check> = match build {
            "server2019-rtm" => vec![Check::V1Lists, Check::UnknownNetwork, Check::DeleteUnknownEndpoint],
            _ => checks().collect(),
        };
        assert_eq!(asked.collect::<Vec<_>>(), applying, "{build}");
    }
}

#[test]
fn a_check_is_made_once() {
    let mut seen = Vec::new();
    for check in checks() {
        assert!(!seen.contains(&check), "{check:?}");
        seen.push(check);
    }
}

/// What is changed of an emulator, and an answer of the latest build that this changes.
type Change = (fn(&Emulator), Check, &'static str);

const CHANGES: [Change; 17] = [
    (|_| {}, Check::Modify, answer::SUCCEEDS),
    (
        |one| quirks(one, |quirks| quirks.chooses_ids = [Kind::Endpoint].into()),
        Check::EndpointId,
        answer::CHOSEN_BY_HNS,
    ),
    (
        |one| quirks(one, |quirks| quirks.chooses_ids = [Kind::LoadBalancer].into()),
        Check::LoadBalancerId,
        answer::CHOSEN_BY_HNS,
    ),
    (|one| quirks(one, |quirks| quirks.silent_modify = true), Check::Modify, answer::NO_EFFECT),
    (|one| quirks(one, |quirks| quirks.first_delete_fails = true), Check::Delete, answer::SECOND_ATTEMPT),
    (|one| quirks(one, |quirks| quirks.silent_load_balancer_delete = true), Check::Delete, answer::LEFT),
    (|one| quirks(one, |quirks| quirks.silent_delete = true), Check::DeleteEndpoint, answer::LEFT),
    (|one| quirks(one, |quirks| quirks.leaks_ports = true), Check::FreedPort, "0x803b0013"),
    (|one| quirks(one, |quirks| quirks.remote_blocks_local = true), Check::LocalAddressOfRemote, "0x803b002f"),
    (|one| quirks(one, |quirks| quirks.wants_attached_backends = true), Check::UnattachedBackend, "0x803b0007"),
    (|one| one.change_options(|options| options.accepts_no_backend = true), Check::NoBackend, answer::SUCCEEDS),
    (|one| one.change_options(|options| options.fails_in_envelope = true), Check::UnknownNetwork, answer::NO_CODE),
    (
        |one| one.change_options(|options| options.accepts_unknown_members = true),
        Check::UnknownMember,
        answer::SUCCEEDS,
    ),
    (
        |one| one.change_options(|options| options.drops_unknown_members = true),
        Check::UnknownMember,
        answer::MEMBER_DROPPED,
    ),
    (
        |one| {
            let modify = Which::Function("HcnModifyLoadBalancer".to_owned());
            one.inject(Fault::of_each(modify, Effect::Fail(Hresult::E_NOTIMPL)));
        },
        Check::Modify,
        "0x80004001",
    ),
    (|one| hide(one, Which::V1List(Kind::LoadBalancer)), Check::V1List, answer::MISSING),
    (|one| hide(one, Which::V2List(Kind::LoadBalancer)), Check::V2List, answer::MISSING),
];

fn quirks(emulator: &Emulator, change: fn(&mut Quirks)) {
    emulator.change_quirks(change);
}

/// Makes a list empty.
fn hide(emulator: &Emulator, list: Which) {
    emulator.inject(Fault::of_each(list, Effect::Partial(0)));
}

#[test]
fn an_emulator_that_is_like_a_survey_has_its_answers() {
    for (change, check, expected) in CHANGES {
        for build in Build::names() {
            let one = emulator(build);
            change(&one);
            let first = survey(&one);
            let is_latest = build == "server2025-updated";
            assert!(!is_latest || first.observed(check) == Some(expected), "{check:?}: {:?}", first.observed(check));
            let other = emulator("15.5");
            like::apply(&first, &other).unwrap();
            assert_eq!(answers(&survey(&other)), answers(&first), "{build}: {check:?} {expected}");
        }
    }
}
