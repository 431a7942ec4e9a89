//! One object of a file: decoded and converted once, and then shared by all later states of the files.

use std::sync::Arc;

use proxy::model::{Service, Slice};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::defaults::{Defaults, read_yaml11, set_namespace};
use crate::kubernetes::node::Node;
use crate::kubernetes::object::{self, Metadata};
use crate::kubernetes::type_error::{TypeError, type_error};
use crate::kubernetes::{ConvertError, Converted, Problem, ProblemKind, Skip, node, service, slice};

/// An object of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Loaded {
    /// `namespace/name`.
    pub(crate) name: String,
    /// For messages.
    pub(crate) subject: String,
    pub(crate) content: Content,
    /// Without their file.
    pub(crate) problems: Vec<Problem>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Content {
    Service(Usable<Service>),
    Slice(Usable<Slice>),
    Node(Usable<Node>),
    /// A kind that a Service proxy does not use.
    Unused,
    /// Not a Kubernetes object: the field that is missing.
    Untyped(&'static str),
}

/// The object, or why it is not used.
pub(crate) type Usable<T> = Result<Arc<T>, NotUsed>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotUsed {
    Skipped(Skip),
    Invalid,
}

impl std::fmt::Display for NotUsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotUsed::Skipped(skip) => skip.fmt(f),
            NotUsed::Invalid => f.write_str("invalid"),
        }
    }
}

impl Loaded {
    /// Of an object as its file has it, with the defaults of the API server.
    pub(crate) fn new(mut value: Value) -> Self {
        if matches!(value.get("kind").and_then(Value::as_str), Some("Service" | "EndpointSlice")) {
            set_namespace(&mut value);
            read_yaml11(&mut value);
        }
        let value = &value;
        let text = |member| value.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
        let name = name_of(value);
        let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
            let missing = if text("kind").is_some() { "apiVersion" } else { "kind" };
            return Self { name, subject: String::new(), content: Content::Untyped(missing), problems: Vec::new() };
        };
        let subject = format!("{kind} {name}");
        let mut problems = Vec::new();
        let content = match (version, kind) {
            ("v1", "Service") => Content::Service(convert(value, &subject, &mut problems, service::convert)),
            ("discovery.k8s.io/v1", "EndpointSlice") => {
                Content::Slice(convert(value, &subject, &mut problems, slice::convert))
            }
            ("v1", "Node") => Content::Node(convert(value, &subject, &mut problems, |object: &object::Node| {
                Ok(Converted { outcome: Ok(node::convert(object)), problems: Vec::new() })
            })),
            _ => {
                let what = format!("unused kind {version} {kind}");
                problems.push(Problem::object(ProblemKind::UnknownKind, subject.clone(), what));
                Content::Unused
            }
        };
        Self { name, subject, content, problems }
    }
}

/// Namespace and name of any object, for messages.
fn name_of(value: &Value) -> String {
    let text = |member| value.get("metadata")?.get(member)?.as_str().map(str::to_owned);
    let metadata = Metadata {
        namespace: text("namespace").unwrap_or_default(),
        name: text("name").unwrap_or_else(|| "(unnamed)".into()),
        ..Metadata::default()
    };
    metadata.full_name()
}

/// Decodes and converts an object, and adds its problems.
fn convert<O: DeserializeOwned + Defaults, T>(
    value: &Value,
    subject: &str,
    problems: &mut Vec<Problem>,
    convert: impl FnOnce(&O) -> Result<Converted<T>, ConvertError>,
) -> Usable<T> {
    let mut object: O = O::deserialize(value).map_err(|error| {
        let type_error = type_error::<O>(value);
        let TypeError { field, what } =
            type_error.unwrap_or_else(|| TypeError { field: String::new(), what: error.to_string() });
        problems.push(Problem { field, ..Problem::object(ProblemKind::BadObject, subject, what) });
        NotUsed::Invalid
    })?;
    object.set_defaults();
    match convert(&object) {
        Ok(converted) => {
            problems.extend(converted.problems);
            converted.outcome.map(Arc::new).map_err(NotUsed::Skipped)
        }
        Err(error) => {
            problems.push(Problem::object(ProblemKind::BadObject, subject, error.to_string()));
            Err(NotUsed::Invalid)
        }
    }
}
