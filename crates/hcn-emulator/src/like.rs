//! Makes an emulator behave like the HNS of a survey, as far as the survey says.

use hcn::{Hresult, Kind};
use hcn_survey::{Check, Survey, answer};

use crate::faults::{Effect, Fault, Which};
use crate::{Build, Emulator};

/// Gives an emulator the version and the behaviour of a survey. Returns the version. What the survey does not say stays as in other builds of that
/// version.
///
/// # Errors
/// If the survey has no valid version.
pub fn apply(survey: &Survey, emulator: &Emulator) -> Result<String, String> {
    let version = survey.host.hns_version.as_ref().ok_or("missing hnsVersion")?;
    emulator.change_build(Build::of(version.parse()?));
    let observed = |check| survey.observed(check);
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
        quirks.silent_delete = observed(Check::DeleteEndpoint) == Some(answer::LEFT);
        let fails = |check| observed(check).is_some_and(|observed| observed.starts_with("0x"));
        quirks.leaks_ports = fails(Check::FreedPort) && !fails(Check::FreedFrontend);
        quirks.remote_blocks_local = fails(Check::LocalAddressOfRemote);
        quirks.wants_attached_backends = fails(Check::UnattachedBackend);
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
