//! Makes `docs/doctor.md` from the checks.

use std::fmt::Write;

use super::checks::ALL;

const HEADER: &str = "\
# hnsproxy doctor

`hnsproxy doctor` checks a node, and says what is wrong, why, and what to do. It changes nothing. It checks HNS with the configuration of the node: the flags of kube-proxy,
or without them those of the installed Windows service ([bundle.md](bundle.md)):

    hnsproxy.exe doctor
    hnsproxy.exe doctor --config=C:\\k\\kube-proxy.yaml
    hnsproxy doctor --from cluster.yaml --hns emulated:logs/ --network-name=cbr0 --hostname-override=win-1
    hnsproxy doctor --from node.zip --hns emulated:node.zip

The third command checks a node on another computer, with its cluster and a [dump of its HNS](files.md), the fourth one with its [bundle](bundle.md).

Each check has a result: *ok*, *warning*, *failure*, or *skipped* with the reason: a source that it needs is missing, or it does not apply to this node. The sources
are HNS, the cluster, the configuration, Windows, and `/statusz` of the running hnsproxy (`--debug-address`, or the address of the installed service). Each has a time limit: an HNS call three times
`--hns-call-budget` (15 s), all calls that read HNS 60 s and those that compare it with the cluster 60 s, the cluster 30 s, the others 15 s. After a call that has not
returned, HNS is not called again. If a source does not respond in time, its checks are skipped, and the checks of the other sources run. `-o json` prints for each
check `check`, `title`, `finds`, `result`, `found` (a list of texts), `cause`, `cure`, and `section`, the section of this page. Ids of checks do not change; later releases may
add checks.

The exit code is 0 if no check failed, 1 if a check failed or the command line is invalid, and 2 if nothing could be checked.

This page is generated from `crates/hnsproxy/src/commands/doctor/checks/`.
";

fn page() -> String {
    let mut page = String::from(HEADER);
    for check in ALL {
        let (id, title, finds) = (check.id, check.title, check.finds);
        let _ = write!(page, "\n## {id}\nChecks: {title}.\n\n");
        let _ = write!(page, "- Finds: {finds}\n- Cause: {}\n- Cure: {}\n", check.cause, check.cure);
    }
    page
}

#[test]
fn the_page_has_a_section_for_each_check() {
    generated_pages::check_page("doctor.md", &page());
}

#[test]
fn ids_of_checks_are_unique_and_in_kebab_case() {
    let mut ids: Vec<_> = ALL.iter().map(|check| check.id).collect();
    assert!(ids.iter().all(|id| id.chars().all(|one| one.is_ascii_lowercase() || one == '-')), "{ids:?}");
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
}
