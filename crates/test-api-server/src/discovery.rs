//! API discovery: groups, versions and resources, which kubectl requests first.

use serde_json::{Value, json};

use crate::kind::Kind;

/// The response to `/api`.
pub(crate) fn versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// The response to `/apis`.
pub(crate) fn groups() -> Value {
    let versions = Kind::ALL.into_iter().map(Kind::api_version).filter_map(|version| version.split_once('/'));
    let group = |(group, version)| {
        let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
        json!({"name": group, "versions": [version], "preferredVersion": version})
    };
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": versions.map(group).collect::<Vec<_>>()})
}

/// The response to `/api/v1` and to the path of each group.
pub(crate) fn resources(api_version: &str) -> Value {
    let resource = |kind: Kind| {
        json!({
            "name": kind.plural(),
            "singularName": kind.name().to_ascii_lowercase(),
            "namespaced": kind.namespaced(),
            "kind": kind.name(),
            "shortNames": kind.short_names(),
            "verbs": ["get", "list", "watch"],
        })
    };
    let kinds = Kind::ALL.into_iter().filter(|kind| kind.api_version() == api_version);
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": kinds.map(resource).collect::<Vec<_>>(),
    })
}
