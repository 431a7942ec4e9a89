//! `/debug/history`: what has happened.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;

use super::running::RunningPage;
use super::status_api::API_VERSION;
use super::{Shared, query};
use crate::history::{Found, MAX_LIMIT, Query, Saving, Since};

#[derive(Debug, Serialize)]
struct HistoryPage {
    api_version: &'static str,
    process: RunningPage,
    /// The sequence of the last entry of the history.
    last_sequence: u64,
    /// Entries that the history does not have any more.
    dropped: u64,
    /// None if the history ends with the process.
    saving: Option<Saving>,
    entries: Found,
}

pub(super) async fn page(State(shared): State<Arc<Shared>>, RawQuery(parameters): RawQuery) -> Response {
    let mut request = Query::default();
    let form = query::read(parameters.as_deref(), |name, value| set(&mut request, name, value));
    query::respond(form, || {
        let entries = shared.proxy.history.find(&request);
        HistoryPage {
            api_version: API_VERSION,
            process: shared.running(),
            last_sequence: entries.last_sequence,
            dropped: entries.dropped,
            saving: entries.saving,
            entries,
        }
    })
}

/// Reads `since=SEQUENCE|TIME`, `service=NAMESPACE/NAME` and `limit=N`.
fn set(request: &mut Query, name: &str, value: &str) -> Result<(), String> {
    match name {
        "since" => request.since = Some(since(value)?),
        "service" => {
            let named = value.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
            named.ok_or_else(|| format!("invalid service {value:?}: expected NAMESPACE/NAME"))?;
            request.service = Some(value.to_owned());
        }
        "limit" => request.limit = query::limit(value, MAX_LIMIT)?,
        _ => return Err(format!("unknown parameter {name:?} (known: limit, pretty, service, since)")),
    }
    Ok(())
}

fn since(value: &str) -> Result<Since, String> {
    if let Ok(sequence) = value.parse() {
        return Ok(Since::Sequence(sequence));
    }
    let time = value.parse().map(Since::Time);
    time.map_err(|_| format!("invalid since {value:?}: expected a sequence or a time, e.g. 17 or 2026-01-02T14:03:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_unknown_or_invalid_is_an_error() {
        let set = |name, value| set(&mut Query::default(), name, value);
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

    #[test]
    fn since_is_a_sequence_or_a_time() {
        assert_eq!(since("17"), Ok(Since::Sequence(17)));
        assert_eq!(since("1970-01-01T00:00:04Z"), Ok(Since::Time(jiff::Timestamp::from_second(4).unwrap())));
    }
}
