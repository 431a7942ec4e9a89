//! The accepted survivors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::mutant::{Listed, Mutant};
use super::outcomes::{Outcome, Outcomes};

const FILE: &str = "xtask/src/mutants/accepted.yaml";

/// An entry of the list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    mutation: String,
    #[serde(default = "first")]
    occurrence: usize,
    /// Why no test detects it. For people.
    #[serde(rename = "reason")]
    _reason: String,
}

const fn first() -> usize {
    1
}

#[derive(Debug, Default)]
pub(super) struct Accepted(BTreeSet<Mutant>);

impl Accepted {
    pub(super) fn read(root: &Path) -> Result<Self> {
        Self::parse(&std::fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?)
    }

    fn parse(text: &str) -> Result<Self> {
        let files: BTreeMap<String, Vec<Entry>> =
            serde_saphyr::from_str(text).with_context(|| format!("cannot parse {FILE}"))?;
        let mutants = files.into_iter().flat_map(|(file, entries)| {
            entries.into_iter().map(move |Entry { mutation, occurrence, .. }| Mutant {
                file: file.clone(),
                mutation,
                occurrence,
            })
        });
        Ok(Self(mutants.collect()))
    }

    pub(super) fn contains(&self, mutant: &Mutant) -> bool {
        self.0.contains(mutant)
    }

    /// What must be changed: tests, or the list of accepted survivors.
    pub(super) fn compare(&self, listed: &Listed, outcomes: &Outcomes) -> Vec<String> {
        let existing: BTreeSet<&Mutant> = listed.values().collect();
        // A run may be about one package, and then lists only its files.
        let files: BTreeSet<&str> = listed.values().map(|mutant| mutant.file.as_str()).collect();
        let new = outcomes.survivors().filter(|mutant| !self.contains(mutant));
        let mut findings: Vec<String> = new.map(|mutant| format!("SURVIVED  {mutant}")).collect();
        for mutant in &self.0 {
            if files.contains(mutant.file.as_str()) && !existing.contains(mutant) {
                findings.push(format!("OUTDATED  {mutant}: no such mutant; remove it from {FILE}"));
            }
            if matches!(outcomes.of(mutant), Some(Outcome::Caught | Outcome::TimedOut | Outcome::Unviable)) {
                findings.push(format!("OUTDATED  {mutant}: no longer survives; remove it from {FILE}"));
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mutant(mutation: &str, occurrence: usize) -> Mutant {
        Mutant { file: "src/a.rs".into(), mutation: mutation.into(), occurrence }
    }

    #[test]
    fn new_and_outdated_survivors_are_found() {
        let accepted = "
src/a.rs:
  - {mutation: kept, reason: equivalent}
  - {mutation: caught, reason: equivalent}
  - {mutation: caught, occurrence: 2, reason: equivalent}
  - {mutation: gone, reason: equivalent}
  - {mutation: in another shard, reason: equivalent}
src/of_another_package.rs:
  - {mutation: not listed, reason: equivalent}
";
        let accepted = Accepted::parse(accepted).unwrap();
        let listed = Listed::from([
            ("1".to_owned(), mutant("kept", 1)),
            ("2".to_owned(), mutant("caught", 1)),
            ("3".to_owned(), mutant("caught", 2)),
            ("4".to_owned(), mutant("in another shard", 1)),
            ("5".to_owned(), mutant("new", 1)),
        ]);
        let entry = |name: &str, summary: &str| json!({"scenario": {"Mutant": {"name": name}}, "summary": summary});
        let outcomes = json!({"outcomes": [
            entry("1", "MissedMutant"), entry("2", "CaughtMutant"), entry("3", "MissedMutant"), entry("5", "MissedMutant"),
        ]});
        let outcomes = Outcomes::read(&outcomes.to_string(), &listed).unwrap();
        let expected = [
            "SURVIVED  src/a.rs: new".to_owned(),
            format!("OUTDATED  src/a.rs: caught: no longer survives; remove it from {FILE}"),
            format!("OUTDATED  src/a.rs: gone: no such mutant; remove it from {FILE}"),
        ];
        assert_eq!(accepted.compare(&listed, &outcomes), expected);
    }

    #[test]
    fn the_list_can_be_read() {
        Accepted::read(&crate::folder::root().unwrap()).unwrap();
    }
}
