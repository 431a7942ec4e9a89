//! A mutant, named so that the name stays valid when lines move.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

/// What cargo-mutants changes: `mutation` names the function and the change. If one function has several changes with that text,
/// `occurrence` counts them from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mutant {
    pub(super) file: String,
    pub(super) mutation: String,
    pub(super) occurrence: usize,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.mutation)?;
        if self.occurrence > 1 {
            write!(f, " (occurrence {})", self.occurrence)?;
        }
        Ok(())
    }
}

/// Mutants by the names of cargo-mutants, which contain line and column.
pub(super) type Listed = BTreeMap<String, Mutant>;

/// The mutants of `cargo mutants --list --json`.
pub(super) fn listed(json: &str) -> Result<Listed> {
    let list: Vec<Value> = serde_json::from_str(json).context("cannot parse the list of cargo mutants")?;
    let mut names: Vec<(usize, usize, &str)> = Vec::new();
    for entry in &list {
        let name = entry.get("name").and_then(Value::as_str).context("list of cargo mutants: missing name")?;
        let position = |member: &str| {
            let number = entry.pointer("/span/start")?.get(member)?.as_u64()?;
            usize::try_from(number).ok()
        };
        let (line, column) =
            position("line").zip(position("column")).with_context(|| format!("{name}: missing span"))?;
        names.push((line, column, name));
    }
    // Occurrences are counted in the order of the file.
    names.sort_unstable();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut listed = Listed::new();
    for (_, _, name) in names {
        let (file, mutation) = split(name).with_context(|| format!("unexpected name of a mutant: {name}"))?;
        let count = counts.entry((file, mutation)).or_default();
        *count += 1;
        let mutant = Mutant { file: file.to_owned(), mutation: mutation.to_owned(), occurrence: *count };
        listed.insert(name.to_owned(), mutant);
    }
    Ok(listed)
}

/// The file and the mutation in a name `FILE:LINE:COLUMN: MUTATION`.
fn split(name: &str) -> Option<(&str, &str)> {
    let (place, mutation) = name.split_once(": ")?;
    let mut parts = place.rsplitn(3, ':');
    let (_column, _line, file) = (parts.next()?, parts.next()?, parts.next()?);
    Some((file, mutation))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_changes_of_a_function_are_counted_in_the_order_of_the_file() {
        let entry = |line: u32, column: u32, mutation: &str| json!({"name": format!("src/a.rs:{line}:{column}: {mutation}"), "span": {"start": {"line": line, "column": column}}});
        let list = json!([
            entry(10, 9, "replace && with || in f"),
            entry(9, 30, "replace && with || in f"),
            entry(11, 5, "replace f -> bool with true"),
            entry(9, 4, "replace && with || in f"),
        ]);
        let listed = listed(&list.to_string()).unwrap();
        let found: Vec<String> = listed.iter().map(|(name, mutant)| format!("{name} = {mutant}")).collect();
        assert_eq!(
            found,
            [
                "src/a.rs:10:9: replace && with || in f = src/a.rs: replace && with || in f (occurrence 3)",
                "src/a.rs:11:5: replace f -> bool with true = src/a.rs: replace f -> bool with true",
                "src/a.rs:9:30: replace && with || in f = src/a.rs: replace && with || in f (occurrence 2)",
                "src/a.rs:9:4: replace && with || in f = src/a.rs: replace && with || in f",
            ]
        );
    }
}
