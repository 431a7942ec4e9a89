//! One manifest of all rendered objects, in the order in which they are needed.

use std::collections::BTreeMap;

use super::{CHART, VALUES, VALUES_END};

/// Others come last.
const ORDER: [&str; 6] = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "Service", "DaemonSet"];

/// Joins the objects of rendered templates. `values` is the name of their values.
pub(super) fn join(values: &str, templates: &BTreeMap<String, String>) -> String {
    let templates = templates.iter().filter(|(path, _)| path.ends_with(".yaml"));
    let mut objects: Vec<String> = templates.flat_map(|(_, text)| objects(text)).collect();
    objects.sort_by_key(|object| position(object));
    let head = format!(
        "# {CHART} with the values of {VALUES}/{values}{VALUES_END}. `cargo xtask chart --accept` writes it.\n"
    );
    format!("{head}---\n{}", objects.join("---\n"))
}

/// The objects of a rendered template. Conditions of the template have left empty lines.
fn objects(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let objects = lines.split(|line| *line == "---").filter(|lines| !lines.is_empty());
    objects.map(|lines| lines.iter().map(|line| format!("{line}\n")).collect()).collect()
}

fn position(object: &str) -> usize {
    let kind = object.lines().find_map(|line| line.strip_prefix("kind: ")).unwrap_or_default();
    ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_object_needs_comes_before_it() {
        let templates = [
            ("hnsproxy/templates/a.yaml", "kind: DaemonSet\n\nspec: 1\n"),
            ("hnsproxy/templates/b.yaml", "\n---\n# Why.\nkind: ClusterRole\n---\nkind: PodMonitor"),
            ("hnsproxy/templates/empty.yaml", "\n\n"),
            ("hnsproxy/templates/NOTES.txt", "notes"),
        ];
        let templates = templates.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        let expected = "\
# deploy/chart/hnsproxy with the values of ci/azure-values.yaml. `cargo xtask chart --accept` writes it.
---
# Why.
kind: ClusterRole
---
kind: DaemonSet
spec: 1
---
kind: PodMonitor
";
        assert_eq!(join("azure", &templates), expected);
    }
}
