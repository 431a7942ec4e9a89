//! Validates objects against the schemas of the versions of Kubernetes that hnsproxy is for.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;

use crate::tools::CHART_PYTHON;

pub(super) const VERSIONS: [&str; 5] = ["1.32", "1.33", "1.34", "1.35", "1.36"];

/// What is wrong with the objects of these YAML files. Unknown fields are wrong, too.
pub(super) fn findings(files: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let request = json!({"versions": VERSIONS, "files": files});
    CHART_PYTHON.ask(include_str!("validate.py"), &request)
}
