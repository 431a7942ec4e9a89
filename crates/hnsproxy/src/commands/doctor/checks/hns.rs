//! Whether HNS answers, and in which version.

use hcn::Features;

use super::super::check::{Check, Finding};
use super::super::facts::Facts;

pub(in super::super) const CHECK: Check = Check {
    id: "hns",
    title: "HNS service and version",
    finds: "a failure if HNS cannot be read; a warning if its version has no HCN (v2) API.",
    cause: "The service `hns` is stopped, restarts or hangs, the feature Containers is not installed, or the build of Windows is older than Server 2019.",
    cure: "Start the service (`sc.exe start hns`). If calls hang, restart the node. Install updates of Windows.",
    run,
};

fn run(facts: &Facts) -> Result<Finding, String> {
    let service = facts.host.as_ref().ok().and_then(|host| host.hns_service.as_deref());
    if let Some(error) = &facts.hns_error {
        let service = service.map(|state| format!("the service hns is {state}"));
        return Ok(Finding::Failure([format!("cannot read HNS: {error}")].into_iter().chain(service).collect()));
    }
    let hns = facts.hns()?;
    let version = hns.version;
    if !Features::of(version).v2 {
        return Ok(Finding::Warning(vec![format!("HNS {version} has no HCN (v2) API; the HNS v1 API is used")]));
    }
    Ok(Finding::Ok(format!("HNS {version}")))
}

#[cfg(test)]
mod tests {
    use hcn::Version;
    use hcn_survey::HostFacts;

    use super::super::super::facts::testing;
    use super::*;

    #[test]
    fn hns_that_answers_is_ok() {
        assert_eq!(run(&testing::hns(vec![], vec![], vec![])), Ok(Finding::Ok("HNS 15.5".into())));
    }

    #[test]
    fn hns_that_fails_is_a_failure_with_the_state_of_its_service() {
        let host = HostFacts { hns_service: Some("stopped".into()), ..HostFacts::default() };
        let facts = Facts { hns_error: Some("0x80070426".into()), host: Ok(host), ..testing::none() };
        let expected = vec!["cannot read HNS: 0x80070426".into(), "the service hns is stopped".into()];
        assert_eq!(run(&facts), Ok(Finding::Failure(expected)));
    }

    #[test]
    fn a_version_without_the_v2_api_is_a_warning() {
        let facts = testing::with_version(testing::hns(vec![], vec![], vec![]), Version::new(8, 3));
        assert!(matches!(run(&facts), Ok(Finding::Warning(_))));
    }
}
