//! Makes an emulator behave like the HNS of a survey, as far as the survey says.

use std::path::Path;

use cluster_source::read_text;
use hcn::{Hresult, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::{Build, Emulator};

use super::check::{Check, answer};
use super::survey::{Survey, VERSION};
use crate::error::CommandError;

/// # Errors
/// If the file is not a survey of this version.
pub(in crate::commands) fn read(path: &Path) -> Result<Survey, CommandError> {
    let invalid = |reason: String| CommandError::Survey { path: path.to_owned(), reason };
    let text = read_text(path).map_err(|error| invalid(error.to_string()))?;
    let survey: Survey = serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(&text))
        .map_err(|error| invalid(error.to_string()))?;
    match survey.survey_version {
        VERSION => Ok(survey),
        other => Err(invalid(format!("unknown version {other} (known: {VERSION}); use the hnsproxy that wrote it"))),
    }
}

/// Gives an emulator the version and the behaviour of a survey. Returns the version. What the survey does not say stays as in other builds of that
/// version.
///
/// # Errors
/// If the survey has no valid version.
pub(in crate::commands) fn apply(survey: &Survey, emulator: &Emulator) -> Result<String, String> {
    let version = survey.host.hns_version.as_ref().ok_or("missing hnsVersion")?;
    emulator.change_build(Build::of(version.parse()?));
    let observed = |check| {
        let finding = survey.findings.iter().find(|finding| finding.check == check);
        finding.map(|finding| finding.observed.as_str())
    };
    emulator.change_quirks(|quirks| {
        match observed(Check::Modify) {
            Some(answer::NO_EFFECT) => quirks.silent_modify = true,
            Some(answer::SUCCEEDS) => quirks.silent_modify = false,
            _ => {}
        }
        let ids = [(Check::EndpointId, Kind::Endpoint), (Check::LoadBalancerId, Kind::LoadBalancer)];
        let is_chosen = |(check, _): &(Check, Kind)| observed(*check) == Some(answer::CHOSEN_BY_HNS);
        quirks.chooses_ids = ids.into_iter().filter(is_chosen).map(|(_, kind)| kind).collect();
        quirks.first_delete_fails = observed(Check::Delete) == Some(answer::SECOND_ATTEMPT);
        quirks.silent_load_balancer_delete = observed(Check::Delete) == Some(answer::LEFT);
    });
    if let Some(code) = observed(Check::Modify).and_then(|observed| observed.strip_prefix("0x")) {
        let code = u32::from_str_radix(code, 16).map_err(|error| format!("invalid code of modify: {error}"))?;
        let modify = Which::Function("HcnModifyLoadBalancer".to_owned());
        emulator.inject(Fault::of_each(modify, Effect::Fail(Hresult(code))));
    }
    let lists =
        [(Check::V1List, Which::V1List(Kind::LoadBalancer)), (Check::V2List, Which::V2List(Kind::LoadBalancer))];
    for (check, list) in lists {
        if observed(check) == Some(answer::MISSING) {
            emulator.inject(Fault::of_each(list, Effect::Partial(0)));
        }
    }
    emulator.change_options(|options| {
        if let Some(observed) = observed(Check::NoBackend) {
            options.accepts_no_backend = observed == answer::SUCCEEDS;
        }
        // Not from the deletion of an unknown endpoint: older builds fail in the envelope there, and not with other calls.
        if let Some(observed) = observed(Check::UnknownNetwork) {
            options.fails_in_envelope = observed == answer::NO_CODE;
        }
        if let Some(observed) = observed(Check::UnknownMember) {
            options.accepts_unknown_members = observed == answer::SUCCEEDS;
            options.drops_unknown_members = observed == answer::MEMBER_DROPPED;
        }
    });
    Ok(version.clone())
}
