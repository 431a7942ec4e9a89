//! Checks that scan sources and documentation. They need no run of the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What follows this in a scenario file is its outcome.
const LINE: &str = "==========";

/// The part of a scenario that documentation depends on.
#[derive(Deserialize)]
struct Input {
    /// Where this is not what kube-proxy does on Windows: what it does there.
    differs: Option<String>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn names() -> BTreeSet<String> {
    let files = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(directory().join(format!("{name}.yaml"))).unwrap()
}

#[test]
fn every_difference_from_kube_proxy_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/differences.md")).unwrap();
    let mut known = names();
    known.extend(
        fs::read_dir(root.join("crates/hnsproxy/tests/recordings"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()),
    );
    let mut folders = vec![root.join("crates")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let functions = text.lines().filter_map(|line| line.trim().strip_prefix("fn ")?.split('(').next());
                known.extend(functions.map(str::to_owned));
            }
        }
    }
    let mut listed = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| What |")) {
        let last = row.trim_end_matches('|').rsplit(" | ").next().unwrap();
        let tests: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test is named: {row}");
        for test in tests {
            assert!(known.contains(test), "{test} is not a test, scenario or recording: {row}");
            listed.insert(test.to_owned());
        }
    }
    for name in names() {
        let text = read(&name);
        let input = text.split(LINE).next().unwrap();
        let input: Input = serde_saphyr::from_str(input).unwrap();
        assert!(input.differs.is_none() || listed.contains(&name), "docs/differences.md does not name {name}");
    }
}

#[test]
fn every_reason_of_a_notice_is_explained_to_operators() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = fs::read_to_string(root.join("crates/proxy/src/notice.rs")).unwrap();
    let page = fs::read_to_string(root.join("docs/services.md")).unwrap();
    let arms = source.lines().filter_map(|line| line.trim().strip_prefix("Problem::")?.split_once("=> \""));
    let reasons: Vec<&str> = arms.filter_map(|(_, rest)| rest.strip_suffix("\",")).collect();
    assert!(reasons.len() > 10, "{reasons:?}");
    for reason in reasons {
        assert!(page.contains(&format!("`{reason}`")), "docs/services.md does not explain {reason}");
    }
}
