//! Problems of objects, with the position of each, and their summary.

use std::collections::BTreeMap;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ProblemKind {
    /// A field of an object is left out.
    BadField,
    /// The object is left out: it does not have the schema of its kind, or lacks a required field.
    BadObject,
    /// A document without `apiVersion` and `kind`.
    NoKind,
    /// A kind that a Service proxy does not use.
    UnknownKind,
    Duplicate,
    /// A slice without its Service.
    NoService,
}

impl ProblemKind {
    /// The phrase for `count` problems of this kind in a summary.
    pub fn phrase(self, count: usize) -> &'static str {
        let one = count == 1;
        match self {
            ProblemKind::BadField if one => "invalid field",
            ProblemKind::BadField => "invalid fields",
            ProblemKind::BadObject if one => "invalid object",
            ProblemKind::BadObject => "invalid objects",
            ProblemKind::NoKind if one => "document without apiVersion or kind",
            ProblemKind::NoKind => "documents without apiVersion or kind",
            ProblemKind::UnknownKind if one => "object of an unused kind",
            ProblemKind::UnknownKind => "objects of unused kinds",
            ProblemKind::Duplicate if one => "duplicate object",
            ProblemKind::Duplicate => "duplicate objects",
            ProblemKind::NoService if one => "EndpointSlice without Service",
            ProblemKind::NoService => "EndpointSlices without Service",
        }
    }
}

/// A part of the input that is left out. Everything else is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub kind: ProblemKind,
    /// For example `Service ns/web` or `document 3`.
    pub subject: String,
    /// The path of the invalid field from the root of the object; empty for the object as a whole.
    pub field: String,
    /// The reason and the consequence.
    #[serde(rename = "message")]
    pub what: String,
    pub file: Option<String>,
}

impl Problem {
    /// A problem of an object as a whole.
    pub fn object(kind: ProblemKind, subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { kind, subject: subject.into(), field: String::new(), what: what.into(), file: None }
    }

    /// Cuts its texts to a number of characters.
    pub(crate) fn shorten(&mut self, limit: usize) {
        for text in [&mut self.subject, &mut self.field, &mut self.what] {
            if let Some((end, _)) = text.char_indices().nth(limit) {
                text.truncate(end);
            }
        }
    }

    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.subject)?;
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.what)?;
        match &self.file {
            Some(file) => write!(f, " ({file})"),
            None => Ok(()),
        }
    }
}

/// The maximum length of a subject in characters. Valid objects have shorter names. Each problem of an object has a copy of the subject.
const MAX_SUBJECT: usize = 600;

/// Collects the problems of one object.
#[derive(Debug)]
pub struct Problems<'a> {
    subject: &'a str,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub fn of(subject: &'a str) -> Self {
        let end = subject.char_indices().nth(MAX_SUBJECT).map_or(subject.len(), |(end, _)| end);
        Self { subject: subject.get(..end).unwrap_or(subject), found: Vec::new() }
    }

    /// Adds a field that is left out.
    pub fn add(&mut self, field: impl Into<String>, what: impl Into<String>) {
        self.found.push(Problem {
            kind: ProblemKind::BadField,
            subject: self.subject.to_owned(),
            field: field.into(),
            what: what.into(),
            file: None,
        });
    }

    /// Checks a port number, and adds a problem if it is invalid. 0 is invalid.
    pub fn port(&mut self, field: impl Into<String>, number: i64) -> Option<u16> {
        let port = u16::try_from(number).ok().filter(|port| *port != 0);
        if port.is_none() {
            self.add(field, format!("invalid port {number}: expected 1 to 65535"));
        }
        port
    }

    pub fn into_vec(self) -> Vec<Problem> {
        self.found
    }
}

/// A mistake that is repeated in all objects of a cluster must not fill the log.
const MAX_NAMED: usize = 20;

/// A summary for people: the number of problems of each kind, then the first 20 problems.
pub fn summary(problems: &[Problem]) -> Vec<String> {
    let mut counts: BTreeMap<ProblemKind, usize> = BTreeMap::new();
    for problem in problems {
        *counts.entry(problem.kind).or_default() += 1;
    }
    if counts.is_empty() {
        return Vec::new();
    }
    let counted: Vec<_> = counts.into_iter().map(|(kind, count)| format!("{count} {}", kind.phrase(count))).collect();
    let mut lines = vec![format!("problems in the input: {}", counted.join(", "))];
    lines.extend(problems.iter().take(MAX_NAMED).map(|problem| format!("  {problem}")));
    if problems.len() > MAX_NAMED {
        lines.push(format!("  and {} more", problems.len() - MAX_NAMED));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_all_problems_and_lists_the_first_ones() {
        let mut problems: Vec<_> = (0..21)
            .map(|n| Problem::object(ProblemKind::UnknownKind, format!("Pod ns/p{n}"), "ignored").in_file("a.yaml"))
            .collect();
        problems.push(Problem::object(ProblemKind::NoKind, "document 2", "kind is missing"));
        let lines = summary(&problems);
        assert_eq!(lines.len(), 22);
        assert_eq!(
            lines[0],
            "problems in the input: 1 document without apiVersion or kind, 21 objects of unused kinds"
        );
        assert_eq!(lines[1], "  Pod ns/p0: ignored (a.yaml)");
        assert_eq!(lines[21], "  and 2 more");
        assert_eq!(summary(&[]), Vec::<String>::new());
    }
}
