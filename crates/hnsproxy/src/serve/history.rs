//! `/debug/history`: what has happened.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;

use super::status_api::API_VERSION;
use super::{Shared, query};
use crate::history::{Query, Saving};

#[derive(Debug, Serialize)]
struct HistoryPage<'a> {
    api_version: &'static str,
    /// The sequence of the last entry of the history.
    last_sequence: u64,
    /// Entries that the history does not have any more.
    dropped: u64,
    /// None if the history ends with the process.
    saving: Option<Saving>,
    entries: Vec<&'a RawValue>,
}

pub(super) async fn page(State(shared): State<Arc<Shared>>, RawQuery(parameters): RawQuery) -> Response {
    let mut request = Query::default();
    let form = query::read(parameters.as_deref(), |name, value| request.set(name, value));
    let found = shared.proxy.history.find(&request);
    query::respond(form, || HistoryPage {
        api_version: API_VERSION,
        last_sequence: found.last_sequence,
        dropped: found.dropped,
        saving: found.saving,
        entries: found.documents().collect(),
    })
}
