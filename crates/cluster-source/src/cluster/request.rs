//! The requests of a reflector, and their query parameters.

use super::kind::Selection;

/// The number of objects per page, unless pages of that many objects are too large: client-go's default.
pub(super) const PAGE_LIMIT: usize = 500;
/// A watch lasts between this time and twice this time. Then the server ends it, and the next one begins. The spread, as in client-go,
/// prevents the watches of all nodes from ending together.
const MIN_WATCH_SECONDS: f64 = 300.0;

/// A request for the objects of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// A page of at most `limit` objects: the first page, or the page of a `continue` token.
    List { next: Option<String>, limit: usize },
    /// The list as a stream, followed by the changes after it (`sendInitialEvents`).
    StreamList,
    /// A list of one object, to check that the server has reached a resource version. The object is the one of this namespace and name, if they
    /// are given.
    Verify { resource_version: String, object: Option<(String, String)> },
    /// The changes after a resource version.
    Watch(String),
}

/// The path of a request for the objects of a kind, which are those of all namespaces at `path`. With the namespace in the path and a field
/// selector for the name, the API server reads one object instead of all. Unlike `get`, that needs no right that kube-proxy lacks.
pub(super) fn path(request: &Request, path: &str) -> String {
    match (request, path.rsplit_once('/')) {
        (Request::Verify { object: Some((namespace, _)), .. }, Some((group, resource))) => {
            format!("{group}/namespaces/{namespace}/{resource}")
        }
        _ => path.to_owned(),
    }
}

/// The query parameters of a request. `jitter` is from 0 to 1.
pub(super) fn query(request: &Request, selection: &Selection, jitter: f64) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if !selection.labels.is_empty() {
        query.append_pair("labelSelector", selection.labels);
    }
    let name = match request {
        Request::Verify { object: Some((_, name)), .. } => Some(format!("metadata.name={name}")),
        _ => None,
    };
    let fields = Some(selection.fields.clone()).filter(|fields| !fields.is_empty()).into_iter().chain(name);
    let fields = fields.collect::<Vec<_>>().join(",");
    if !fields.is_empty() {
        query.append_pair("fieldSelector", &fields);
    }
    if matches!(request, Request::StreamList | Request::Watch(_)) {
        let seconds = (MIN_WATCH_SECONDS * (1.0 + jitter)) as u32;
        query.append_pair("watch", "true").append_pair("allowWatchBookmarks", "true");
        query.append_pair("timeoutSeconds", &seconds.to_string());
    }
    match request {
        // Without a resource version, the server reads etcd, not its cache.
        Request::List { next, limit } => {
            query.append_pair("limit", &limit.to_string());
            if let Some(next) = next {
                query.append_pair("continue", next);
            }
        }
        Request::StreamList => {
            query.append_pair("sendInitialEvents", "true").append_pair("resourceVersionMatch", "NotOlderThan");
        }
        Request::Verify { resource_version, .. } => {
            // If the server has not reached the version, it rejects a list, but accepts a watch and sends no events.
            query.append_pair("limit", "1").append_pair("resourceVersion", resource_version);
            query.append_pair("resourceVersionMatch", "NotOlderThan");
        }
        Request::Watch(version) => {
            query.append_pair("resourceVersion", version);
        }
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::super::kind::{Kind, Nodes, Services, Slices};
    use super::*;

    #[test]
    fn each_request_has_its_query_parameters() {
        let services = Services::selection("n");
        assert_eq!(
            query(&Request::StreamList, &services, 0.0),
            "labelSelector=%21service.kubernetes.io%2Fservice-proxy-name&fieldSelector=spec.clusterIP%21%3DNone&watch=true\
             &allowWatchBookmarks=true&timeoutSeconds=300&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        );
        let slices = Slices::selection("n");
        assert_eq!(
            query(&Request::List { next: Some("a=b".into()), limit: PAGE_LIMIT }, &slices, 0.0),
            "labelSelector=%21service.kubernetes.io%2Fheadless&limit=500&continue=a%3Db"
        );
        let node = Nodes::selection("win-1");
        assert_eq!(
            query(&Request::Watch("7".into()), &node, 1.0),
            "fieldSelector=metadata.name%3Dwin-1&watch=true&allowWatchBookmarks=true&timeoutSeconds=600&resourceVersion=7"
        );
        let verify = |object| Request::Verify { resource_version: "7".into(), object };
        assert_eq!(
            query(&verify(None), &node, 0.0),
            "fieldSelector=metadata.name%3Dwin-1&limit=1&resourceVersion=7&resourceVersionMatch=NotOlderThan"
        );
        let object = verify(Some(("ns".into(), "a".into())));
        assert_eq!(
            query(&object, &services, 0.0),
            "labelSelector=%21service.kubernetes.io%2Fservice-proxy-name&fieldSelector=spec.clusterIP%21%3DNone%2Cmetadata.name%3Da\
             &limit=1&resourceVersion=7&resourceVersionMatch=NotOlderThan"
        );
        assert_eq!(path(&object, Slices::PATH), "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices");
        assert_eq!(path(&verify(None), Services::PATH), "/api/v1/services");
    }
}
