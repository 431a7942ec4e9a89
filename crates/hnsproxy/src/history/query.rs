//! Which entries a reader requests: those since a sequence or a time, those of a Service, and how many.

use jiff::Timestamp;

use super::ring::Line;

/// The default number of entries of an answer.
const DEFAULT_LIMIT: usize = 500;
const MAX_LIMIT: usize = 4096;

/// The point after which entries are requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    Sequence(u64),
    /// This time or later.
    Time(Timestamp),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub since: Option<Since>,
    /// `NAMESPACE/NAME`.
    pub service: Option<String>,
    pub limit: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self { since: None, service: None, limit: DEFAULT_LIMIT }
    }
}

impl Query {
    /// Reads `since=SEQUENCE|TIME`, `service=NAMESPACE/NAME` and `limit=N`.
    ///
    /// # Errors
    /// The message for the client.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "since" => self.since = Some(since(value)?),
            "service" => {
                let named = value.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
                named.ok_or_else(|| format!("invalid service {value:?}: expected NAMESPACE/NAME"))?;
                self.service = Some(value.to_owned());
            }
            "limit" => self.limit = limit(value, MAX_LIMIT)?,
            _ => return Err(format!("unknown parameter {name:?} (known: limit, pretty, service, since)")),
        }
        Ok(())
    }

    pub(super) fn has(&self, line: &Line) -> bool {
        let is_late = match self.since {
            None => true,
            Some(Since::Sequence(sequence)) => line.sequence > sequence,
            Some(Since::Time(time)) => line.time >= time,
        };
        is_late && self.service.as_deref().is_none_or(|service| line.service.as_deref() == Some(service))
    }
}

fn since(value: &str) -> Result<Since, String> {
    if let Ok(sequence) = value.parse() {
        return Ok(Since::Sequence(sequence));
    }
    let time = value.parse().map(Since::Time);
    time.map_err(|_| format!("invalid since {value:?}: expected a sequence or a time, e.g. 17 or 2026-01-02T14:03:00Z"))
}

/// Reads a number from 1 to `max`.
///
/// # Errors
/// The message for the client.
pub fn limit(value: &str, max: usize) -> Result<usize, String> {
    let limit = value.parse().ok().filter(|limit| (1..=max).contains(limit));
    limit.ok_or_else(|| format!("invalid limit {value:?}: expected 1 to {max}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_unknown_or_invalid_is_an_error() {
        let set = |name, value| Query::default().set(name, value);
        for (name, value) in
            [("since", "x"), ("service", "web"), ("service", "/web"), ("limit", "0"), ("limit", "5000")]
        {
            assert!(
                set(name, value).unwrap_err().starts_with(&format!("invalid {name} {value:?}: ")),
                "{name}={value}"
            );
        }
        assert_eq!(
            set("until", "1").unwrap_err(),
            "unknown parameter \"until\" (known: limit, pretty, service, since)"
        );
        assert_eq!(set("since", "2026-01-02T14:03:00+02:00"), Ok(()));
    }
}
