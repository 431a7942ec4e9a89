//! Every rule of a Service, as text: what the cluster says, what is planned, and what HNS then holds.
//!
//! A file of `tests/scenarios` is a scenario (see [`Input`]), then a line of `=`, then what came of it. With `UPDATE_SCENARIOS=1` in the
//! environment the second part is written anew, for review.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::scenario::{Input, outcome};

const LINE: &str = "==========";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn names() -> BTreeSet<String> {
    let files = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(directory().join(format!("{name}.yaml"))).unwrap()
}

/// The first line that differs, with those around it.
fn difference(wanted: &str, got: &str) -> String {
    let (wanted, got): (Vec<_>, Vec<_>) = (wanted.lines().collect(), got.lines().collect());
    let place = wanted.iter().zip(&got).position(|(a, b)| a != b).unwrap_or(wanted.len().min(got.len()));
    let around =
        |lines: &[&str]| lines.iter().skip(place.saturating_sub(2)).take(6).copied().collect::<Vec<_>>().join("\n    ");
    format!("  recorded:\n    {}\n  now:\n    {}", around(&wanted), around(&got))
}

#[test]
fn every_scenario_ends_as_recorded() {
    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let mut different = Vec::new();
    for name in names() {
        let text = read(&name);
        let (input, recorded) = text.split_once(&format!("{LINE}\n")).unwrap_or((&text, ""));
        let result = std::panic::catch_unwind(|| outcome(input));
        let Ok(got) = result else {
            different.push(format!("{name}: see the panic above"));
            continue;
        };
        if update && got != recorded {
            let end = if input.ends_with('\n') { "" } else { "\n" };
            fs::write(directory().join(format!("{name}.yaml")), format!("{input}{end}{LINE}\n{got}")).unwrap();
        } else if got != recorded {
            different.push(format!("{name}:\n{}", difference(recorded, &got)));
        }
    }
    assert!(different.is_empty(), "{}\nUPDATE_SCENARIOS=1 records what is now.", different.join("\n"));
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
        assert!(!input.about.is_empty());
        assert!(input.differs.is_none() || listed.contains(&name), "docs/differences.md does not name {name}");
    }
}

#[test]
fn every_reason_of_a_notice_is_explained_to_operators() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = fs::read_to_string(root.join("crates/proxy/src/condition.rs")).unwrap();
    let page = fs::read_to_string(root.join("docs/services.md")).unwrap();
    let arms = source.lines().filter_map(|line| line.trim().strip_prefix("Condition::")?.split_once("=> \""));
    let reasons: Vec<&str> = arms.filter_map(|(_, rest)| rest.strip_suffix("\",")).collect();
    assert!(reasons.len() > 10, "{reasons:?}");
    for reason in reasons {
        assert!(page.contains(&format!("`{reason}`")), "docs/services.md does not explain {reason}");
    }
}
