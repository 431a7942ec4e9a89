//! Reads all objects of HNS with their documents. Objects that are deleted before they are read are left out.

use hcn::call::Method;
use hcn::schema::{Endpoint, LoadBalancer, Network, Query};
use hcn::{ApiVersion, Call, Client, Error, Guid, Hcn, Kind, Reply};
use serde_json::Value;

/// The networks, in the order of HNS.
///
/// # Errors
/// If HNS cannot be read.
pub fn networks(hcn: &dyn Hcn, client: &Client) -> Result<Vec<(Guid, Network)>, Error> {
    let ids = ids(hcn, client.api_version(), Kind::Network, "/networks/")?;
    read(ids, |id| client.network_of(id))
}

/// The endpoints of all networks, in the order of HNS.
///
/// # Errors
/// If HNS cannot be read.
pub fn endpoints(hcn: &dyn Hcn, client: &Client) -> Result<Vec<(Guid, Endpoint)>, Error> {
    let ids = ids(hcn, client.api_version(), Kind::Endpoint, "/endpoints/")?;
    read(ids, |id| client.endpoint(id))
}

/// The load balancers, in the order of HNS. Those with an invalid document are left out.
///
/// # Errors
/// If HNS cannot be read.
pub fn load_balancers(client: &Client) -> Result<Vec<(Guid, LoadBalancer)>, Error> {
    let mut load_balancers = Vec::new();
    for listed in client.load_balancers(Some)? {
        let document = match listed.document {
            Some(document) => document.ok(),
            None => present(client.load_balancer(listed.id))?,
        };
        load_balancers.extend(document.map(|document| (listed.id, document)));
    }
    Ok(load_balancers)
}

fn read<T>(ids: Vec<Guid>, get: impl Fn(Guid) -> Result<T, Error>) -> Result<Vec<(Guid, T)>, Error> {
    let mut objects = Vec::new();
    for id in ids {
        objects.extend(present(get(id))?.map(|object| (id, object)));
    }
    Ok(objects)
}

fn present<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.class() == hcn::Class::Absent => Ok(None),
        Err(error) => Err(error),
    }
}

/// The ids of all objects of a kind, which the HNS v1 API has at a path.
fn ids(hcn: &dyn Hcn, api_version: ApiVersion, kind: Kind, path: &str) -> Result<Vec<Guid>, Error> {
    let call = match api_version {
        ApiVersion::V2 => Call::Enumerate { kind, query: Query::all().to_json() },
        ApiVersion::V1 => Call::Hns { method: Method::Get, path: path.into(), body: String::new() },
    };
    let unreadable = |reason: String| Error::Document { function: call.function(), reason };
    let document: Value = match hcn.call(&call)? {
        Reply::Document(text) => serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?,
        other => return Err(unreadable(format!("unexpected reply: {other:?}"))),
    };
    // The HCN v2 API lists ids, the HNS v1 API complete documents in an envelope.
    let list = document.as_array().or_else(|| document.get("Output")?.as_array());
    let id = |object: &Value| object.as_str().or_else(|| object.get("ID")?.as_str())?.parse().ok();
    Ok(list.into_iter().flatten().filter_map(id).collect())
}
