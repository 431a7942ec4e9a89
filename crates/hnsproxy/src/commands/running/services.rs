//! `services`: shows all Services with their states.

use serde_json::Value;

use super::{page, parts, query, server};
use crate::cli::ServicesArgs;
use crate::commands::IN_SYNC;
use crate::error::CommandError;
use crate::http_client::Server;
use crate::output;
use crate::view;

/// The maximum number of Services on a page.
const LIMIT: &str = "1000";

pub(in crate::commands) fn main(args: &ServicesArgs) -> Result<u8, CommandError> {
    let server = server(&args.running);
    let document = all(args, &server)?;
    let services = parts(&server, &document)?;
    output::print(args.running.output.output, &document, |layout| view::services(&services, layout))?;
    Ok(IN_SYNC)
}

/// Requests all pages, and merges them into one document.
fn all(args: &ServicesArgs, server: &Server) -> Result<Value, CommandError> {
    let state = args.problems.then_some(("state", "problem"));
    let part = args.query.as_deref().map(|part| ("q", part));
    let get = |after: Option<&str>| {
        let after = after.map(|after| ("continue", after));
        let parameters = [("limit", LIMIT)].into_iter().chain(state).chain(part).chain(after);
        page(server, &format!("/debug/services?{}", query(parameters)))
    };
    let mut document = get(None)?;
    while let Some(after) = document.get("continue").and_then(Value::as_str).map(str::to_owned) {
        let mut next = get(Some(&after))?;
        append(&mut document, &mut next);
    }
    Ok(document)
}

/// Appends the Services of the next page, and takes over its `continue`, which is null on the last page.
fn append(document: &mut Value, next: &mut Value) {
    let rest = next.get_mut("continue").map(Value::take).unwrap_or_default();
    let services = next.get_mut("services").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    if let Some(all) = document.get_mut("services").and_then(Value::as_array_mut) {
        all.extend(services);
    }
    if let Some(document) = document.as_object_mut() {
        document.insert("continue".to_owned(), rest);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_become_one_document() {
        let mut first = json!({"total": 3, "continue": "b", "services": ["a", "b"]});
        append(&mut first, &mut json!({"total": 3, "continue": null, "services": ["c"]}));
        assert_eq!(first, json!({"total": 3, "continue": null, "services": ["a", "b", "c"]}));
        append(&mut first, &mut json!("another program"));
        assert_eq!(first["continue"], Value::Null);
    }
}
