//! Builds of HNS and of Windows with known defects.

use hcn::Version;

use super::super::check::{Check, Finding};
use super::super::facts::Facts;

pub(in super::super) const CHECK: Check = Check {
    id: "known-builds",
    title: "builds with known defects",
    finds: "a warning if HNS is 15.4, or if Windows is build 17763 (Server 2019) before revision 1757 (February 2021).",
    cause: "HNS 15.4 reports a modification of a load balancer as done and changes nothing ([kubernetes 131466](https://github.com/kubernetes/kubernetes/issues/131466)). HNS of older updates of Server 2019 can hang if several load balancers have one endpoint ([aks-engine 4315](https://github.com/Azure/aks-engine/pull/4315)).",
    cure: "Install the current updates of Windows. hnsproxy replaces load balancers on HNS 15.4, so nothing else is needed there.",
    run,
};

const NO_EFFECT: Version = Version::new(15, 4);
const SERVER_2019: u32 = 17763;
/// The revision of the updates of February 2021.
const FIXED_REVISION: u32 = 1757;

fn run(facts: &Facts) -> Result<Finding, String> {
    let version = facts.hns()?.version;
    let host = facts.host.as_ref().ok();
    let build = host.and_then(|host| Some((host.windows_build?, host.windows_revision?)));
    let hns = (version == NO_EFFECT).then(|| format!("HNS {version} does not modify load balancers"));
    let windows = build.filter(|(build, revision)| *build == SERVER_2019 && *revision < FIXED_REVISION);
    let windows = windows.map(|(build, revision)| format!("Windows build {build}.{revision}: HNS can hang"));
    let build = build.map(|(build, revision)| format!(", Windows build {build}.{revision}")).unwrap_or_default();
    let ok = format!("no known defect of HNS {version}{build}");
    Ok(Finding::warning_unless_empty(hns.into_iter().chain(windows).collect(), ok))
}

#[cfg(test)]
mod tests {
    use hcn_survey::HostFacts;

    use super::super::super::facts::testing;
    use super::*;

    fn on(version: Version, build: u32, revision: u32) -> Result<Finding, String> {
        let host = HostFacts { windows_build: Some(build), windows_revision: Some(revision), ..HostFacts::default() };
        let facts = testing::with_version(testing::hns(vec![], vec![], vec![]), version);
        run(&Facts { host: Ok(host), ..facts })
    }

    #[test]
    fn builds_without_a_known_defect_are_ok() {
        assert!(matches!(on(Version::new(15, 5), 26100, 1), Ok(Finding::Ok(_))));
        assert!(matches!(on(Version::new(9, 5), SERVER_2019, FIXED_REVISION), Ok(Finding::Ok(_))));
    }

    #[test]
    fn builds_with_a_known_defect_are_warnings() {
        assert!(matches!(on(Version::new(15, 4), 26100, 1), Ok(Finding::Warning(_))));
        assert!(matches!(on(Version::new(9, 2), SERVER_2019, 107), Ok(Finding::Warning(_))));
    }
}
