//! Routes a request to its answer.

use serde_json::json;

use crate::discovery;
use crate::events;
use crate::http::{Request, Response};
use crate::kind::Kind;
use crate::list::{List, list};
use crate::path::ApiPath;
use crate::selector::Selector;
use crate::shared::All;
use crate::status::Status;
use crate::watch::Watch;

pub(crate) enum Answer {
    Whole(Response),
    List(List),
    Watch(Watch),
}

/// # Errors
/// The status with which the server rejects the request.
pub(crate) fn answer(all: &mut All, request: &Request, certificate: Option<&[u8]>) -> Result<Answer, Status> {
    if !all.behaviour.lets_in(request, certificate) {
        return Err(Status::of(401, None));
    }
    match (request.method.as_str(), ApiPath::of(&request.path)) {
        ("GET", ApiPath::Objects { kind, namespace, name }) => {
            let selector =
                Selector::parse(kind, request.parameter("labelSelector"), request.parameter("fieldSelector"));
            let selector = selector.map_err(Status::bad_request)?.within(namespace, name);
            if request.flag("watch") == Some(true) {
                return Watch::begin(all, request, kind, selector).map(Answer::Watch);
            }
            match name {
                Some(name) => get(all, kind, namespace, name).map(Answer::Whole),
                None => list(&all.store, request, kind, &selector).map(Answer::List),
            }
        }
        ("GET", ApiPath::Health) => Ok(Answer::Whole(Response::text(200, "ok"))),
        ("GET", ApiPath::Versions) => Ok(Answer::Whole(Response::json(200, &discovery::versions()))),
        ("GET", ApiPath::Groups) => Ok(Answer::Whole(Response::json(200, &discovery::groups()))),
        ("GET", ApiPath::Kinds(api_version)) => {
            Ok(Answer::Whole(Response::json(200, &discovery::resources(&api_version))))
        }
        ("GET", ApiPath::Version) => Ok(Answer::Whole(Response::json(200, &version()))),
        ("POST", ApiPath::Events { namespace: Some(namespace), name: None }) => {
            events::create(&mut all.events, namespace, &request.body).map(Answer::Whole)
        }
        ("PATCH", ApiPath::Events { namespace: Some(namespace), name: Some(name) }) => {
            events::patch(&mut all.events, namespace, name, &request.body).map(Answer::Whole)
        }
        (_, ApiPath::Nothing) => Ok(Answer::Whole(Response::text(404, "404 page not found\n"))),
        _ => Err(Status::of(405, None)),
    }
}

fn get(all: &All, kind: Kind, namespace: Option<&str>, name: &str) -> Result<Response, Status> {
    let key = (kind, namespace.unwrap_or_default().to_owned(), name.to_owned());
    let object = all.store.get(&key).ok_or_else(|| Status::not_found(kind.plural(), name))?;
    Ok(Response::json(200, &*object))
}

fn version() -> serde_json::Value {
    json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0-test-api-server", "platform": "test"})
}
