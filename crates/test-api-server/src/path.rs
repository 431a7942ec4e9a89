//! Reads the path of a request.

use crate::kind::Kind;

/// The target of a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ApiPath<'a> {
    /// The objects of a kind: all objects, those of a namespace, or one object.
    Objects {
        kind: Kind,
        namespace: Option<&'a str>,
        name: Option<&'a str>,
    },
    /// The Events of a namespace, or one.
    Events {
        namespace: Option<&'a str>,
        name: Option<&'a str>,
    },
    /// The versions of the core group.
    Versions,
    /// The other groups.
    Groups,
    /// The resources of a group and version.
    Kinds(String),
    Health,
    Version,
    /// Not found.
    Nothing,
}

impl<'a> ApiPath<'a> {
    pub(crate) fn of(path: &'a str) -> Self {
        match path {
            "/healthz" | "/livez" | "/readyz" => return Self::Health,
            "/version" | "/version/" => return Self::Version,
            "/api" | "/api/" => return Self::Versions,
            "/apis" | "/apis/" => return Self::Groups,
            _ => {}
        }
        let mut parts = path.split('/').skip(1);
        let (api_version, rest) = match parts.next() {
            Some("api") => (parts.next().unwrap_or_default().to_owned(), parts),
            Some("apis") => {
                let group = parts.next().unwrap_or_default();
                (format!("{group}/{}", parts.next().unwrap_or_default()), parts)
            }
            _ => return Self::Nothing,
        };
        let rest: Vec<&str> = rest.collect();
        let (namespace, plural, name) = match rest.as_slice() {
            [] if Kind::ALL.into_iter().any(|kind| kind.api_version() == api_version) => {
                return Self::Kinds(api_version);
            }
            [plural] => (None, *plural, None),
            ["namespaces", namespace, plural] => (Some(*namespace), *plural, None),
            [plural, name] => (None, *plural, Some(*name)),
            ["namespaces", namespace, plural, name] => (Some(*namespace), *plural, Some(*name)),
            _ => return Self::Nothing,
        };
        if plural == "events" && matches!(api_version.as_str(), "v1" | "events.k8s.io/v1") {
            return Self::Events { namespace, name };
        }
        let kind = Kind::ALL.into_iter().find(|kind| kind.plural() == plural && kind.api_version() == api_version);
        match kind {
            // A namespaced object needs its namespace in the path, and other objects must not have one.
            Some(kind) if kind.namespaced() == namespace.is_some() || name.is_none() && namespace.is_none() => {
                Self::Objects { kind, namespace, name }
            }
            _ => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_target() {
        let objects = |kind, namespace, name| ApiPath::Objects { kind, namespace, name };
        for kind in Kind::ALL {
            assert_eq!(ApiPath::of(&kind.path()), objects(kind, None, None));
        }
        assert_eq!(ApiPath::of("/api/v1/namespaces/a/services"), objects(Kind::Service, Some("a"), None));
        assert_eq!(ApiPath::of("/api/v1/namespaces/a/services/b"), objects(Kind::Service, Some("a"), Some("b")));
        assert_eq!(ApiPath::of("/api/v1/nodes/n"), objects(Kind::Node, None, Some("n")));
        assert_eq!(ApiPath::of("/apis/discovery.k8s.io/v1"), ApiPath::Kinds("discovery.k8s.io/v1".into()));
        let events = ApiPath::Events { namespace: Some("a"), name: None };
        assert_eq!(ApiPath::of("/apis/events.k8s.io/v1/namespaces/a/events"), events);
        assert_eq!(ApiPath::of("/api/v1/namespaces/a/events"), events);
        let nowhere =
            ["/", "/api/v1/services/b", "/api/v1/namespaces/a/nodes", "/apis/v1/services", "/api/v1/pods", "/apis/v1"];
        for path in nowhere {
            assert_eq!(ApiPath::of(path), ApiPath::Nothing, "{path}");
        }
    }
}
