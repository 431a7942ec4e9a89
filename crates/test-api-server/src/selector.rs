//! Label selectors and field selectors, with the syntax of the API server.

use serde_json::Value;

use crate::kind::Kind;

/// The objects that a request selects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
    namespace: Option<String>,
    name: Option<String>,
}

/// One condition on a label or field.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    is: Condition,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    There,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl Condition {
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::There => value.is_some(),
            Self::Absent => value.is_none(),
            Self::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Self::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
        }
    }
}

impl Selector {
    /// Parses both selectors of a request.
    ///
    /// # Errors
    /// The message of the API server for an invalid selector.
    pub(crate) fn parse(kind: Kind, labels: &str, fields: &str) -> Result<Self, String> {
        let labels = split(labels).map(label).collect::<Result<_, _>>();
        let labels = labels.map_err(|part| format!("unable to parse requirement: found '{part}'"))?;
        let fields = split(fields).map(|part| field(kind, part)).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields, namespace: None, name: None })
    }

    /// Restricts the selector to one namespace or one object.
    pub(crate) fn within(self, namespace: Option<&str>, name: Option<&str>) -> Self {
        Self { namespace: namespace.map(str::to_owned), name: name.map(str::to_owned), ..self }
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let metadata = |name: &str| object.get("metadata").and_then(|metadata| metadata.get(name));
        let is = |name, wanted: &Option<String>| {
            wanted.is_none() || metadata(name).and_then(Value::as_str) == wanted.as_deref()
        };
        let label = |key: &str| metadata("labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
        is("namespace", &self.namespace)
            && is("name", &self.name)
            && self.labels.iter().all(|one| one.is.holds(label(&one.key)))
            && self.fields.iter().all(|one| one.is.holds(Some(&field_of(object, &one.key))))
    }
}

/// The parts between commas that are not in parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let between = move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    };
    text.split(between).map(str::trim).filter(|part| !part.is_empty())
}

fn label(part: &str) -> Result<Requirement, String> {
    let requirement = |key: &str, is| match key.trim() {
        key if key.is_empty() || key.contains(char::is_whitespace) => Err(part.to_owned()),
        key => Ok(Requirement { key: key.to_owned(), is }),
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some(key) = part.strip_prefix('!') {
        return requirement(key, Condition::Absent);
    }
    if let Some((key, value)) = part.split_once("!=") {
        return requirement(key, Condition::NotIn(one(value)));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return requirement(key, Condition::In(one(value)));
    }
    let Some((before, values)) = part.strip_suffix(')').and_then(|part| part.split_once('(')) else {
        return requirement(part, Condition::There);
    };
    let values = values.split(',').map(|value| value.trim().to_owned()).collect();
    match before.trim().rsplit_once(char::is_whitespace) {
        Some((key, "in")) => requirement(key, Condition::In(values)),
        Some((key, "notin")) => requirement(key, Condition::NotIn(values)),
        _ => Err(part.to_owned()),
    }
}

fn field(kind: Kind, part: &str) -> Result<Requirement, String> {
    let (key, is) = if let Some((key, value)) = part.split_once("!=") {
        (key, Condition::NotIn(vec![value.to_owned()]))
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (key, Condition::In(vec![value.to_owned()]))
    } else {
        return Err(format!("invalid selector: '{part}'; can't understand '{part}'"));
    };
    if !kind.fields().contains(&key) {
        return Err(format!("field label not supported: {key}"));
    }
    Ok(Requirement { key: key.to_owned(), is })
}

/// The value of a field as text; empty if it is missing.
fn field_of(object: &Value, path: &str) -> String {
    match path.split('.').try_fold(object, |value, name| value.get(name)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(value)) => value.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn selects(labels: &str, fields: &str) -> bool {
        let object = json!({
            "metadata": {"name": "web", "namespace": "a", "labels": {"app": "web", "tier": "front"}},
            "spec": {"clusterIP": "10.0.0.1"},
        });
        Selector::parse(Kind::Service, labels, fields).unwrap().matches(&object)
    }

    #[test]
    fn label_selectors_select_by_labels() {
        let yes = [
            "",
            "app",
            "!other",
            "app=web",
            "app==web",
            "app!=x",
            "other!=x",
            "app in (x, web)",
            "app notin (x,y)",
            "app,tier=front",
        ];
        for selector in yes {
            assert!(selects(selector, ""), "{selector}");
        }
        for selector in
            ["other", "!app", "app=x", "other=", "app!=web", "app in (x,y)", "app notin (x,web)", "app,tier=back"]
        {
            assert!(!selects(selector, ""), "{selector}");
        }
    }

    #[test]
    fn field_selectors_select_by_fields() {
        for selector in
            ["metadata.name=web", "spec.clusterIP!=None", "spec.type=", "metadata.namespace==a,metadata.name!=b"]
        {
            assert!(selects("", selector), "{selector}");
        }
        for selector in ["metadata.name=x", "spec.clusterIP!=10.0.0.1", "spec.type!="] {
            assert!(!selects("", selector), "{selector}");
        }
    }

    #[test]
    fn invalid_selectors_are_rejected() {
        let refusal = |labels, fields| Selector::parse(Kind::EndpointSlice, labels, fields).unwrap_err();
        assert_eq!(refusal("", "spec.clusterIP=x"), "field label not supported: spec.clusterIP");
        assert_eq!(refusal("a b", ""), "unable to parse requirement: found 'a b'");
        assert_eq!(refusal("a of (b)", ""), "unable to parse requirement: found 'a of (b)'");
    }
}
