//! What fuzz targets call: each function takes any bytes, and asserts what must hold for them.

use std::path::Path;

use serde_json::Value;

use crate::document::{Part, documents, parts};
use crate::files::Files;
use crate::{Catalog, decode_text};

pub use crate::cluster::fuzzing::{certificates, environment, kubeconfig, list, plugin_answer, watch};

/// The content of a YAML or JSON file with cluster objects.
pub fn manifests(bytes: &[u8]) {
    let Ok(text) = decode_text(bytes.to_vec()) else { return };
    for name in ["a.yaml", "a.json"] {
        file(Path::new(name), &text);
    }
    items_are_those_of_the_whole_document(&text);
}

fn file(path: &Path, text: &str) {
    let Ok(mut files) = Files::of_text(path, text) else { return };
    let (first, parsed) = (files.catalog(), files.parsed());
    let changes = first.changes_since(&Catalog::default(), "node");
    // There is at most one change for each object of the Catalog, and one for the Node.
    assert!(changes.len() <= first.services.len() + first.slices.len() + 1);
    assert!(files.refresh_text(path, text).is_ok(), "the same text is invalid the second time");
    assert_eq!(files.parsed(), parsed, "a text that has not changed was parsed again");
    assert_eq!(files.catalog().changes_since(&first, "node"), []);
}

/// Lists are split at lines, without a parser. The items must equal those of the parser.
fn items_are_those_of_the_whole_document(text: &str) {
    let Ok(parts) = parts(text, false) else { return };
    if parts.iter().any(Part::is_yaml_item)
        && let (Ok(split), Ok(whole)) = (objects(&parts), objects(&documents(text)))
    {
        assert_eq!(split, whole);
    }
}

fn objects(parts: &[Part<'_>]) -> Result<Vec<Value>, crate::SyntaxError> {
    let objects: Result<Vec<_>, _> = parts.iter().map(Part::parse).collect();
    Ok(objects?.into_iter().flatten().collect())
}
