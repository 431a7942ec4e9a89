//! Parses the text of a file into objects: YAML or JSON, several documents, and the items of Lists.

use serde_json::Value;

/// The position and the reason of invalid YAML or JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct SyntaxError {
    /// From 1.
    pub line: u64,
    /// From 1.
    pub column: u64,
    pub reason: String,
}

/// All objects of a text, including the items of Lists. Empty documents are skipped.
///
/// # Errors
/// If the text is invalid.
pub(crate) fn read(text: &str, is_json: bool) -> Result<Vec<Value>, SyntaxError> {
    let documents = if is_json {
        read_json(text)?
    } else if text.trim_start().starts_with('{') {
        // JSON is also valid YAML, but the JSON parser is much faster. JSON documents separated by `---` need the YAML parser.
        read_json(text).or_else(|_| read_yaml(text))?
    } else {
        read_yaml(text)?
    };
    let mut objects = Vec::with_capacity(documents.len());
    documents.into_iter().for_each(|document| open_list(document, &mut objects));
    Ok(objects)
}

fn read_json(text: &str) -> Result<Vec<Value>, SyntaxError> {
    serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().map_err(|error| {
        let (line, column) = (error.line() as u64, error.column() as u64);
        // The message of serde_json repeats line and column.
        let reason = error.to_string();
        let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(what, _)| what).to_owned();
        SyntaxError { line, column, reason }
    })
}

fn read_yaml(text: &str) -> Result<Vec<Value>, SyntaxError> {
    // The file is trusted and may contain a large cluster, so only the limits against expanding aliases stay.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_documents: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
        },
        // Services and namespaces may be named `n` or `on`: only `true` and `false` are booleans.
        strict_booleans: true,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let location = error.location();
        let reason = error.without_snippet().to_string();
        SyntaxError {
            line: location.map_or(1, |location| location.line()),
            column: location.map_or(1, |location| location.column()),
            reason: reason.lines().next().unwrap_or_default().to_owned(),
        }
    })
}

/// Adds an object to `objects`, or the items of a `List`, `ServiceList`, `EndpointSliceList` and so on. Items of a typed list may omit
/// their kind.
fn open_list(mut document: Value, objects: &mut Vec<Value>) {
    let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
    let is_list = document.get("items").is_some();
    let Some(item_kind) = kind.strip_suffix("List").filter(|_| is_list).map(str::to_owned) else {
        if !document.is_null() {
            objects.push(document);
        }
        return;
    };
    let version = document.get("apiVersion").cloned().unwrap_or_default();
    let items = document.get_mut("items").map(Value::take);
    for mut item in items.as_ref().and_then(Value::as_array).cloned().unwrap_or_default() {
        if let (false, Some(members)) = (item_kind.is_empty(), item.as_object_mut()) {
            members.entry("apiVersion").or_insert_with(|| version.clone());
            members.entry("kind").or_insert_with(|| item_kind.clone().into());
        }
        open_list(item, objects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str, is_json: bool) -> Vec<String> {
        let objects = read(text, is_json).unwrap();
        objects.iter().map(|object| object["kind"].as_str().unwrap_or("none").to_owned()).collect()
    }

    #[test]
    fn documents_lists_and_typed_lists_are_read() {
        let yaml = "---\nkind: A\n---\n# nothing\n---\nkind: List\nitems:\n- kind: B\n- kind: List\n  items: [{kind: C}]\n---\nx: 1\n";
        assert_eq!(kinds(yaml, false), ["A", "B", "C", "none"]);
        let list = r#"{"kind":"ServiceList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}]} {"kind":"D"}"#;
        assert_eq!(kinds(list, true), ["Service", "D"]);
        assert_eq!(read(list, true).unwrap()[0]["apiVersion"], "v1");
        assert_eq!(kinds("{\"kind\": \"A\"}\n---\n{\"kind\": \"B\"}\n", false), ["A", "B"]);
        assert_eq!(kinds("", false), Vec::<String>::new());
        assert_eq!(kinds("kind: List\nitems: null\n", false), Vec::<String>::new());
    }

    #[test]
    fn syntax_errors_have_line_and_column() {
        let json = read("{\n \"kind\": ]\n}", true).unwrap_err();
        assert_eq!((json.line, json.reason.as_str()), (2, "expected value"));
        let yaml = read("kind: A\n---\nspec:\n  a: [1, 2\nb: 3\n", false).unwrap_err();
        assert!(yaml.line >= 4, "{yaml}");
        assert!(!yaml.reason.is_empty());
    }

    #[test]
    fn strings_that_look_like_other_types_stay_strings() {
        let objects = read("a: \"true\"\nb: n\nc: 1.10.0\nd: 2026-01-01T00:00:00Z\ne: 010.0.0.1\n", false).unwrap();
        assert!(objects[0].as_object().unwrap().values().all(Value::is_string), "{objects:?}");
    }
}
