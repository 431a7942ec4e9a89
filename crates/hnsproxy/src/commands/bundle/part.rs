//! A part of a bundle, before secrets are removed from it.

use serde::Serialize;
use serde_json::Value;

use crate::redact::Secrets;

/// The maximum size of a part, in bytes. Larger parts are reported as missing.
const MAX_PART: usize = 256 << 20;

pub(super) struct Part {
    pub(super) name: String,
    pub(super) content: Content,
}

pub(super) enum Content {
    /// Written as JSON.
    Document(Value),
    /// A document for a replay that contains only fields without secrets. Only text in the form of a secret is removed from it, so that the
    /// replay is exact.
    Replayed(Value),
    Text(String),
    Absent(Absent),
}

/// Why there is no content.
pub(super) enum Absent {
    /// The part exists on this node, but cannot be read.
    Missing(String),
    /// The part does not exist on this node.
    NotApplicable(String),
}

impl Part {
    pub(super) fn new(name: impl Into<String>, content: Content) -> Self {
        Self { name: name.into(), content }
    }

    /// A document, or the reason why it is missing.
    pub(super) fn document(name: impl Into<String>, document: Result<impl Serialize, String>) -> Self {
        let value = document.and_then(|document| serde_json::to_value(document).map_err(|error| error.to_string()));
        Self::new(name, value.map_or_else(Content::missing, Content::Document))
    }

    /// A text, or the reason why it is missing.
    pub(super) fn text(name: impl Into<String>, text: Result<String, String>) -> Self {
        Self::new(name, text.map_or_else(Content::missing, Content::Text))
    }

    /// A document that a replay reads, or the reason why it is missing.
    pub(super) fn replayed(name: impl Into<String>, document: Result<Value, String>) -> Self {
        Self::new(name, document.map_or_else(Content::missing, Content::Replayed))
    }

    /// A part that does not exist on this node, with the reason.
    pub(super) fn not_applicable(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(name, Content::Absent(Absent::NotApplicable(reason.into())))
    }
}

impl Content {
    fn missing(reason: String) -> Self {
        Self::Absent(Absent::Missing(reason))
    }

    /// The text that is written.
    ///
    /// # Errors
    /// The reason why the text is missing.
    pub(super) fn without_secrets(self, secrets: &Secrets) -> Result<String, Absent> {
        let text = match self {
            Self::Document(document) => pretty(&secrets.document(document)),
            Self::Replayed(document) => pretty(&Secrets::default().document(document)),
            Self::Text(text) => secrets.text(&text),
            Self::Absent(Absent::Missing(reason)) => return Err(Absent::Missing(secrets.text(&reason))),
            Self::Absent(absent) => return Err(absent),
        };
        if text.len() > MAX_PART {
            return Err(Absent::Missing(format!("larger than {} MiB", MAX_PART >> 20)));
        }
        Ok(text)
    }
}

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default() + "\n"
}
