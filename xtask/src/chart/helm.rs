//! Lints and renders the chart with Helm, as a release `hnsproxy` in the namespace `kube-system`.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use super::{CHART, schemas};
use crate::folder;
use crate::tools::CHART_PYTHON;

/// What the templates of a chart became, by their paths, or why it cannot be rendered.
pub(super) type Rendered = Result<BTreeMap<String, String>, String>;

/// Renders the chart with each of these values.
pub(super) fn render(values: &[&Value]) -> Result<Vec<Rendered>> {
    let request = json!({
        "chart": folder::root()?.join(CHART),
        "release": "hnsproxy",
        "namespace": "kube-system",
        "kubernetes": schemas::VERSIONS.last(),
        "values": values,
    });
    CHART_PYTHON.ask(include_str!("render.py"), &request)
}
