//! Splits the text of a file into parts that are parsed on their own: YAML or JSON documents, and the items of Lists. A part whose text has
//! not changed needs no parsing.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::yaml::yaml_options;

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

/// A part of the text of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    text: &'a str,
    /// The number of lines before it.
    lines_before: u64,
    syntax: Syntax,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Syntax {
    Json,
    /// A document.
    Yaml,
    JsonItem(ItemType),
    /// An item with its `-`.
    YamlItem(ItemType),
}

/// What an item of a typed list may omit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct ItemType {
    version: String,
    /// Empty if the list is not typed.
    kind: String,
}

/// The parts of a text, in order.
///
/// # Errors
/// If the text is JSON and invalid. Invalid YAML is found when the parts are parsed.
pub(crate) fn parts(text: &str, is_json: bool) -> Result<Vec<Part<'_>>, SyntaxError> {
    if is_json {
        return json_parts(text);
    }
    // JSON is also valid YAML, but the JSON parser is much faster. JSON documents separated by `---` need the YAML parser.
    if text.trim_start().starts_with('{')
        && let Ok(parts) = json_parts(text)
    {
        return Ok(parts);
    }
    Ok(yaml_documents(text)
        .into_iter()
        .flat_map(|document| yaml_items(&document).unwrap_or_else(|| vec![document]))
        .collect())
}

/// The documents of a text, without a split of Lists.
pub(crate) fn documents(text: &str) -> Vec<Part<'_>> {
    yaml_documents(text)
}

impl Part<'_> {
    /// Equal parts have equal numbers, and different parts different ones.
    pub(crate) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.text, &self.syntax).hash(&mut hasher);
        hasher.finish()
    }

    /// In bytes.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn is_yaml(&self) -> bool {
        matches!(self.syntax, Syntax::Yaml | Syntax::YamlItem(_))
    }

    /// Whether it is an item whose limits were found without a parser.
    pub(crate) fn is_yaml_item(&self) -> bool {
        matches!(self.syntax, Syntax::YamlItem(_))
    }

    /// Its objects, including the items of Lists. An empty document has none.
    ///
    /// # Errors
    /// If the text is invalid.
    pub(crate) fn parse(&self) -> Result<Vec<Value>, SyntaxError> {
        let mut objects = Vec::new();
        match &self.syntax {
            Syntax::Json => read_json(self.text)?.into_iter().for_each(|value| open_list(value, &mut objects)),
            Syntax::JsonItem(of) => {
                read_json(self.text)?.into_iter().for_each(|item| open_item(item, of, &mut objects))
            }
            Syntax::Yaml => self.read_yaml()?.into_iter().for_each(|value| open_list(value, &mut objects)),
            Syntax::YamlItem(of) => match <[Value; 1]>::try_from(self.read_yaml()?) {
                Ok([Value::Array(items)]) if items.len() == 1 => {
                    items.into_iter().for_each(|item| open_item(item, of, &mut objects));
                }
                _ => return Err(self.error(1, 1, "expected an item of a list".to_owned())),
            },
        }
        Ok(objects)
    }

    fn read_yaml(&self) -> Result<Vec<Value>, SyntaxError> {
        let mut options = yaml_options(self.text.len());
        // Services and namespaces may be named `n` or `on`: only `true` and `false` are booleans.
        options.strict_booleans = true;
        serde_saphyr::from_multiple_with_options(self.text, options).map_err(|error| {
            let location = error.location();
            let reason = error.without_snippet().to_string();
            let (line, column) = location.map_or((1, 1), |location| (location.line(), location.column()));
            self.error(line, column, reason.lines().next().unwrap_or_default().to_owned())
        })
    }

    fn error(&self, line: u64, column: u64, reason: String) -> SyntaxError {
        SyntaxError { line: self.lines_before + line, column, reason }
    }
}

fn json_error(error: &serde_json::Error) -> SyntaxError {
    let (line, column) = (error.line() as u64, error.column() as u64);
    // The message of serde_json repeats line and column.
    let reason = error.to_string();
    let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(what, _)| what).to_owned();
    SyntaxError { line, column, reason }
}

fn read_json(text: &str) -> Result<Vec<Value>, SyntaxError> {
    let values = serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>();
    values.map_err(|error| json_error(&error))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonList<'a> {
    #[serde(default)]
    api_version: String,
    kind: String,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

fn json_parts(text: &str) -> Result<Vec<Part<'_>>, SyntaxError> {
    let mut parts = Vec::new();
    let part = |text, syntax| Part { text, lines_before: 0, syntax };
    for document in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let document = document.map_err(|error| json_error(&error))?.get();
        let list = serde_json::from_str::<JsonList<'_>>(document).ok();
        match list.and_then(|list| Some((ItemType::of(list.api_version, &list.kind)?, list.items?))) {
            Some((of, items)) => {
                parts.extend(items.into_iter().map(|item| part(item.get(), Syntax::JsonItem(of.clone()))));
            }
            None => parts.push(part(document, Syntax::Json)),
        }
    }
    Ok(parts)
}

/// The lines of a text with their ends, each with the number of lines and of bytes before it.
fn lines(text: &str) -> impl Iterator<Item = (u64, usize, &str)> {
    let mut begin = 0;
    (0..).zip(text.split_inclusive('\n')).map(move |(number, line)| {
        begin += line.len();
        (number, begin - line.len(), line)
    })
}

/// Splits a text at its `---` lines. These separate documents wherever they are, even in a block scalar:
/// <https://yaml.org/spec/1.2.2/#914-explicit-documents>. Each part starts with its marker, because text may follow it.
fn yaml_documents(text: &str) -> Vec<Part<'_>> {
    let whole = Part { text, lines_before: 0, syntax: Syntax::Yaml };
    // A directive belongs to the document after it, and `...` ends one.
    if lines(text).any(|(_, _, line)| line.starts_with('%') || line.starts_with("...")) {
        return vec![whole];
    }
    let is_marker = |line: &str| {
        line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
    };
    let markers =
        lines(text).filter(|(_, begin, line)| *begin > 0 && is_marker(line)).map(|(number, begin, _)| (number, begin));
    cut(text, 0, [(0, 0)].into_iter().chain(markers), &Syntax::Yaml)
}

/// Cuts a text at positions, each with the number of lines before it. The first position is the start of the first part.
fn cut<'a>(text: &'a str, lines_before: u64, at: impl Iterator<Item = (u64, usize)>, syntax: &Syntax) -> Vec<Part<'a>> {
    let at: Vec<(u64, usize)> = at.collect();
    let ends = at.iter().skip(1).map(|(_, begin)| *begin).chain([text.len()]);
    let part = |((line, begin), end): (&(u64, usize), usize)| Part {
        text: text.get(*begin..end).unwrap_or_default(),
        lines_before: lines_before + line,
        syntax: syntax.clone(),
    };
    at.iter().zip(ends).map(part).collect()
}

/// Splits a List as kubectl and most programs write it: `items:` at the start of a line, and each item from a `-` at one indentation. Text
/// that is deeper belongs to its item. None if the document is anything else.
fn yaml_items<'a>(document: &Part<'a>) -> Option<Vec<Part<'a>>> {
    let mut all = lines(document.text).skip_while(|(_, _, line)| line.trim_end() != "items:");
    let (_, head, items_line) = all.next()?;
    let is_text = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let (mut at, mut indent, mut end) = (Vec::new(), None, document.text.len());
    for (number, begin, line) in all.filter(|(_, _, line)| is_text(line)) {
        let content = line.trim_start_matches(' ');
        let depth = line.len() - content.len();
        let indent = *indent.get_or_insert(depth);
        let is_item = content.strip_prefix('-').is_some_and(|rest| rest.starts_with([' ', '\r', '\n']));
        if depth == indent && is_item {
            at.push((number, begin));
        } else if depth <= indent {
            end = begin;
            break;
        }
    }
    let (list, (_, first)) = (document.text, *at.first()?);
    let header = [list.get(..head)?, list.get(head + items_line.len()..first)?, list.get(end..)?].concat();
    let header = Part { text: &header, lines_before: 0, syntax: Syntax::Yaml }.read_yaml().ok()?;
    let [header] = <[Value; 1]>::try_from(header).ok()?;
    let text = |member| header.get(member).and_then(Value::as_str).unwrap_or_default();
    // A second list of items would be an error.
    let of = ItemType::of(text("apiVersion").to_owned(), text("kind")).filter(|_| header.get("items").is_none())?;
    Some(cut(list.get(..end)?, document.lines_before, at.into_iter(), &Syntax::YamlItem(of)))
}

impl ItemType {
    /// Of the items of a list of this version and kind. None if it is not the kind of a list.
    fn of(version: String, kind: &str) -> Option<Self> {
        kind.strip_suffix("List").map(|kind| Self { version, kind: kind.to_owned() })
    }
}

/// Adds an object to `objects`, or the items of a `List`, `ServiceList`, `EndpointSliceList` and so on.
fn open_list(mut document: Value, objects: &mut Vec<Value>) {
    let text = |member| document.get(member).and_then(Value::as_str).unwrap_or_default();
    let is_list = document.get("items").is_some();
    let Some(of) = ItemType::of(text("apiVersion").to_owned(), text("kind")).filter(|_| is_list) else {
        if !document.is_null() {
            objects.push(document);
        }
        return;
    };
    if let Some(Value::Array(items)) = document.get_mut("items").map(Value::take) {
        items.into_iter().for_each(|item| open_item(item, &of, objects));
    }
}

fn open_item(mut item: Value, of: &ItemType, objects: &mut Vec<Value>) {
    if let (false, Some(members)) = (of.kind.is_empty(), item.as_object_mut()) {
        members.entry("apiVersion").or_insert_with(|| of.version.clone().into());
        members.entry("kind").or_insert_with(|| of.kind.clone().into());
    }
    open_list(item, objects);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, is_json: bool) -> Result<Vec<Value>, SyntaxError> {
        let objects: Result<Vec<_>, _> = parts(text, is_json)?.iter().map(Part::parse).collect();
        Ok(objects?.into_iter().flatten().collect())
    }

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
        assert_eq!(kinds("kind: List\nitems:\n", false), Vec::<String>::new());
    }

    #[test]
    fn a_yaml_list_is_split_into_its_items() {
        let items = "- a: 1\n  kind: A\n# remark\n\n- kind: |\n    B\n   \n  b: '- kind: no'\n";
        let deep: String = items.lines().map(|line| format!("  {line}\n")).collect();
        for list in [
            format!("apiVersion: v1\nitems:\n{items}kind: List\nmetadata:\n  x: y\n"),
            format!("--- # first\nkind: List\napiVersion: v1\nitems:\n{deep}"),
            format!("kind: List\r\nitems:\r\n{}metadata: {{}}\r\n", deep.replace('\n', "\r\n")),
        ] {
            let parts = parts(&list, false).unwrap();
            assert_eq!(parts.len(), 2, "{parts:#?}");
            assert_eq!(
                parts[1].lines_before as usize,
                list.lines().position(|line| line.contains("- kind: |")).unwrap()
            );
            let whole = Part { text: &list, lines_before: 0, syntax: Syntax::Yaml };
            assert_eq!(read(&list, false), whole.parse(), "{list}");
        }
    }

    #[test]
    fn a_document_that_is_not_a_plain_list_is_one_part() {
        for text in [
            "kind: Config\nitems:\n- a\n- b\n",
            "kind: List\nitems: [{a: 1}, {b: 1}]\n",
            "kind: List\nspec:\n  items:\n  - a\n",
            "%YAML 1.2\n---\nkind: A\n",
            "kind: A\n...\n",
        ] {
            assert_eq!(parts(text, false).unwrap().len(), 1, "{text}");
        }
    }

    #[test]
    fn a_marker_separates_documents_wherever_it_is() {
        let text = "a: |\n  x\n--- {b: 1}\n---\n---x: 1\n";
        assert_eq!(parts(text, false).unwrap().len(), 3);
        assert_eq!(read(text, false).unwrap().len(), 3);
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
