//! What the tests made of each mutant.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::mutant::{Listed, Mutant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Caught,
    /// Also caught: a test did not end.
    TimedOut,
    Survived,
    /// The change does not compile.
    Unviable,
}

#[derive(Debug, Default)]
pub(super) struct Outcomes(BTreeMap<Mutant, Outcome>);

impl Outcomes {
    /// Reads `outcomes.json`.
    pub(super) fn read(json: &str, listed: &Listed) -> Result<Self> {
        let document: Value = serde_json::from_str(json).context("cannot parse the outcomes of cargo mutants")?;
        let list = document.get("outcomes").and_then(Value::as_array).context("missing outcomes of cargo mutants")?;
        let mut outcomes = Self::default();
        for entry in list {
            // The other scenario is the baseline, which has passed if there are outcomes of mutants.
            let Some(name) = entry.pointer("/scenario/Mutant/name").and_then(Value::as_str) else { continue };
            let mutant = listed.get(name).with_context(|| format!("unknown mutant {name}"))?;
            let outcome = match entry.get("summary").and_then(Value::as_str) {
                Some("CaughtMutant") => Outcome::Caught,
                Some("MissedMutant") => Outcome::Survived,
                Some("Timeout") => Outcome::TimedOut,
                Some("Unviable") => Outcome::Unviable,
                other => bail!("{name}: unexpected outcome {other:?}"),
            };
            outcomes.0.insert(mutant.clone(), outcome);
        }
        Ok(outcomes)
    }

    pub(super) fn of(&self, mutant: &Mutant) -> Option<Outcome> {
        self.0.get(mutant).copied()
    }

    pub(super) fn survivors(&self) -> impl Iterator<Item = &Mutant> {
        self.0.iter().filter(|(_, outcome)| **outcome == Outcome::Survived).map(|(mutant, _)| mutant)
    }

    /// The counts of each folder.
    pub(super) fn table(&self, is_accepted: impl Fn(&Mutant) -> bool) -> String {
        let mut rows: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
        for (mutant, outcome) in &self.0 {
            let folder = Path::new(&mutant.file).parent().and_then(Path::to_str).unwrap_or_default();
            for name in [folder, "total"] {
                let [tested, caught, timed_out, survived, of_these] = rows.entry(name).or_default();
                match outcome {
                    // Not a test of the tests.
                    Outcome::Unviable => continue,
                    Outcome::Caught => *caught += 1,
                    Outcome::TimedOut => *timed_out += 1,
                    Outcome::Survived => *survived += 1,
                }
                *tested += 1;
                *of_these += usize::from(*outcome == Outcome::Survived && is_accepted(mutant));
            }
        }
        let width = rows.keys().map(|name| name.len()).max().unwrap_or_default();
        let mut text = format!("{:width$}   tested   caught timeouts survived accepted", "");
        for (name, counts) in rows {
            text.push_str(&format!("\n{name:width$}"));
            counts.iter().for_each(|count| text.push_str(&format!(" {count:8}")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn outcomes_are_counted_by_folder() {
        let mutant =
            |file: &str, mutation: &str| Mutant { file: file.into(), mutation: mutation.into(), occurrence: 1 };
        let listed = Listed::from([
            ("one".to_owned(), mutant("src/a/x.rs", "one")),
            ("two".to_owned(), mutant("src/a/y.rs", "two")),
            ("three".to_owned(), mutant("src/b/z.rs", "three")),
            ("four".to_owned(), mutant("src/b/z.rs", "four")),
        ]);
        let entry = |name: &str, summary: &str| json!({"scenario": {"Mutant": {"name": name}}, "summary": summary});
        let document = json!({"outcomes": [
            {"scenario": "Baseline", "summary": "Success"}, entry("one", "CaughtMutant"), entry("two", "MissedMutant"),
            entry("three", "Unviable"), entry("four", "Timeout"),
        ]});
        let outcomes = Outcomes::read(&document.to_string(), &listed).unwrap();
        let lines = [
            "        tested   caught timeouts survived accepted",
            "src/a        2        1        0        1        1",
            "src/b        1        0        1        0        0",
            "total        3        1        1        1        1",
        ];
        assert_eq!(outcomes.table(|mutant| mutant.mutation == "two").lines().collect::<Vec<_>>(), lines);
    }
}
