//! Lists, complete or in pages of one resource version.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use crate::fault_mode::FaultMode;
use crate::http::Request;
use crate::kind::Kind;
use crate::selector::Selector;
use crate::status::Status;
use crate::store::{Item, Key, Store};

/// The position of the next page: after this object, at this version. Without a version, the list continues with the current objects.
struct Continue {
    version: Option<u64>,
    after: (String, String),
}

impl Continue {
    fn token(&self) -> String {
        let (namespace, name) = &self.after;
        BASE64.encode(
            json!({"v": "meta.k8s.io/v1", "rv": self.version, "start": format!("{namespace}/{name}")}).to_string(),
        )
    }

    fn parse(token: &str) -> Option<Self> {
        let token: Value = serde_json::from_slice(&BASE64.decode(token).ok()?).ok()?;
        let (namespace, name) = token.get("start")?.as_str()?.split_once('/')?;
        Some(Self { version: token.get("rv").and_then(Value::as_u64), after: (namespace.to_owned(), name.to_owned()) })
    }
}

/// A list, serialized after the store is unlocked.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List {
    kind: String,
    api_version: &'static str,
    metadata: Value,
    items: Vec<Item>,
}

impl List {
    /// Applies a fault to the list.
    pub(crate) fn distort(&mut self, fault_mode: FaultMode, request: &Request) {
        let Some(metadata) = self.metadata.as_object_mut() else { return };
        match fault_mode {
            FaultMode::EmptyLists => {
                self.items.clear();
                metadata.shift_remove("continue");
            }
            FaultMode::OtherKind => self.kind = "PodList".to_owned(),
            FaultMode::NoVersion => drop(metadata.insert("resourceVersion".to_owned(), "".into())),
            FaultMode::LostPages if metadata.shift_remove("continue").is_some() => {
                metadata.insert("remainingItemCount".to_owned(), 1.into());
            }
            FaultMode::RepeatedPages if !request.parameter("continue").is_empty() => {
                metadata.insert("continue".to_owned(), request.parameter("continue").into());
            }
            FaultMode::EndlessPages => {
                // No name of an object: the next page begins with the first object.
                let before =
                    Continue::parse(request.parameter("continue")).and_then(|before| before.after.1.parse().ok());
                let number = before.map_or(0, |before: u64| before + 1);
                let next = Continue { version: None, after: (String::new(), number.to_string()) };
                metadata.insert("continue".to_owned(), next.token().into());
            }
            FaultMode::LargeObjects(padding) => self.items.iter_mut().for_each(|item| item.padding = padding),
            _ => {}
        }
    }
}

pub(crate) fn list(store: &Store, request: &Request, kind: Kind, selector: &Selector) -> Result<List, Status> {
    if request.flag("sendInitialEvents").is_some() {
        return Err(Status::invalid("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    let asked = match request.parameter("resourceVersion") {
        "" => 0,
        text => text.parse().map_err(|_| Status::bad_request(format!("invalid resource version {text:?}")))?,
    };
    store.has_reached(asked)?;
    let token = match request.parameter("continue") {
        "" => None,
        token => Some(Continue::parse(token).ok_or_else(|| Status::bad_request("continue key is not valid"))?),
    };
    let version = token.as_ref().and_then(|token| token.version).unwrap_or(store.version());
    if let Some(token) = &token
        && store.remembers(version).is_err()
    {
        return Err(Status::expired_page(&Continue { version: None, after: token.after.clone() }.token()));
    }
    store.has_reached(version)?;
    let is_later = |(_, namespace, name): &Key| {
        token.as_ref().is_none_or(|token| (namespace, name) > (&token.after.0, &token.after.1))
    };
    let objects = store.at(version, kind).into_iter();
    let mut objects: Vec<_> = objects.filter(|(key, object)| is_later(key) && selector.matches(object)).collect();

    // As in the API server: version "0" is served from its cache, without pages.
    let limit =
        if request.parameter("resourceVersion") == "0" { 0 } else { request.parameter("limit").parse().unwrap_or(0) };
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if limit > 0 && objects.len() > limit {
        objects.truncate(limit);
        if let (Some(((_, namespace, name), _)), Some(metadata)) = (objects.last(), metadata.as_object_mut()) {
            let token = Continue { version: Some(version), after: (namespace.clone(), name.clone()) }.token();
            metadata.insert("continue".to_owned(), token.into());
        }
    }
    let items = objects.into_iter().map(|(_, object)| Item::of(object.clone())).collect();
    Ok(List { kind: format!("{}List", kind.name()), api_version: kind.api_version(), metadata, items })
}
