//! The operations of the client through the HNS v1 API.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Listed, hns, read_output};
use crate::call::{Hcn, Method};
use crate::schema::v1::{HnsEndpoint, HnsNetwork, PolicyList};
use crate::schema::{self, Endpoint, LoadBalancer, Network};
use crate::{Error, Guid};

const NETWORKS: &str = "/networks/";
pub(super) const ENDPOINTS: &str = "/endpoints/";
pub(super) const POLICY_LISTS: &str = "/policylists/";

/// Reads a list one object at a time. An invalid object does not affect the others. An object without an id is left out.
fn list<V1, T, R>(
    hcn: &dyn Hcn,
    path: &str,
    convert: impl Fn(V1) -> Option<Result<T, String>>,
    mut keep: impl FnMut(Listed<T>) -> Option<R>,
) -> Result<Vec<R>, Error>
where
    V1: DeserializeOwned,
{
    let one = |object: &RawValue| {
        let Identified { id } = serde_json::from_str(object.get()).ok()?;
        let id = id.parse().ok()?;
        let document = match serde_json::from_str(object.get()) {
            Ok(document) => convert(document)?,
            Err(error) => Err(error.to_string()),
        };
        keep(Listed { id, document: Some(document) })
    };
    hns(hcn, Method::Get, path.into(), String::new(), |output| {
        // A missing list is an error. As an empty list, it would make all objects absent.
        let objects: Vec<&RawValue> = schema::read("HNSCall", output)?;
        Ok(objects.into_iter().filter_map(one).collect())
    })
}

/// The part of an object that is always read, even if the rest is invalid.
#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(rename = "ID", borrow)]
    id: Cow<'a, str>,
}

pub(super) fn network(hcn: &dyn Hcn, name: &str) -> Result<Option<Network>, Error> {
    let of_name = |network: HnsNetwork| network.name.eq_ignore_ascii_case(name).then(|| Ok(Network::from(network)));
    Ok(list(hcn, NETWORKS, of_name, |listed| listed.document?.ok())?.into_iter().next())
}

pub(super) fn networks(hcn: &dyn Hcn) -> Result<Vec<Listed<Network>>, Error> {
    list(hcn, NETWORKS, |v1: HnsNetwork| Some(Ok(Network::from(v1))), Some)
}

pub(super) fn endpoints<R>(
    hcn: &dyn Hcn,
    network: Option<Guid>,
    keep: impl FnMut(Listed<Endpoint>) -> Option<R>,
) -> Result<Vec<R>, Error> {
    let of_network = |endpoint: HnsEndpoint| {
        (network.is_none() || endpoint.virtual_network == network).then(|| Ok(Endpoint::from(endpoint)))
    };
    list(hcn, ENDPOINTS, of_network, keep)
}

pub(super) fn load_balancers<R>(
    hcn: &dyn Hcn,
    keep: impl FnMut(Listed<LoadBalancer>) -> Option<R>,
) -> Result<Vec<R>, Error> {
    list(hcn, POLICY_LISTS, |v1: PolicyList| Some(LoadBalancer::try_from(v1)), keep)
}

fn get<V1: DeserializeOwned>(hcn: &dyn Hcn, path: &str, id: Guid) -> Result<V1, Error> {
    hns(hcn, Method::Get, format!("{path}{id}"), String::new(), read_output)
}

pub(super) fn network_of(hcn: &dyn Hcn, id: Guid) -> Result<Network, Error> {
    get::<HnsNetwork>(hcn, NETWORKS, id).map(Network::from)
}

pub(super) fn endpoint(hcn: &dyn Hcn, id: Guid) -> Result<Endpoint, Error> {
    get::<HnsEndpoint>(hcn, ENDPOINTS, id).map(Endpoint::from)
}

pub(super) fn load_balancer(hcn: &dyn Hcn, id: Guid) -> Result<LoadBalancer, Error> {
    let list: PolicyList = get(hcn, POLICY_LISTS, id)?;
    LoadBalancer::try_from(list).map_err(|reason| Error::Document { function: "HNSCall", reason })
}

pub(super) fn create_endpoint(hcn: &dyn Hcn, network: Guid, id: Guid, endpoint: &Endpoint) -> Result<Guid, Error> {
    let mut document = HnsEndpoint::from(endpoint);
    document.id = Some(id);
    document.virtual_network = Some(network);
    let created: HnsEndpoint = hns(hcn, Method::Post, ENDPOINTS.into(), schema::write(&document), read_output)?;
    Ok(created.id.unwrap_or(id))
}

pub(super) fn create_load_balancer(hcn: &dyn Hcn, id: Guid, load_balancer: &LoadBalancer) -> Result<Guid, Error> {
    let mut document = PolicyList::from(load_balancer);
    document.id = Some(id);
    let created: PolicyList = hns(hcn, Method::Post, POLICY_LISTS.into(), schema::write(&document), read_output)?;
    Ok(created.id.unwrap_or(id))
}

pub(super) fn delete(hcn: &dyn Hcn, path: &str, id: Guid) -> Result<(), Error> {
    hns(hcn, Method::Delete, format!("{path}{id}"), String::new(), |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Call, Reply};

    struct Replies(&'static str);

    impl Hcn for Replies {
        fn call(&self, _: &Call) -> Result<Reply, Error> {
            Ok(Reply::Document(self.0.into()))
        }
    }

    #[test]
    fn a_missing_list_is_an_error() {
        for reply in [r#"{"Success":true}"#, r#"{"Success":true,"Output":null}"#] {
            assert!(matches!(load_balancers(&Replies(reply), Some), Err(Error::Document { .. })));
        }
        assert_eq!(load_balancers(&Replies(r#"{"Success":true,"Output":[]}"#), Some), Ok(Vec::new()));
    }

    #[test]
    fn an_invalid_object_does_not_affect_the_others() {
        let reply = r#"{"Success":true,"Output":[{"ID":"x"},{"ID":"0be07c06-0000-4000-8000-000000000001","References":7},
            {"ID":"0be07c06-0000-4000-8000-000000000002"}]}"#;
        let listed = load_balancers(&Replies(reply), Some).unwrap();
        let readable: Vec<_> = listed.iter().map(|one| one.document.as_ref().is_some_and(Result::is_ok)).collect();
        assert_eq!(readable, [false, true]);
    }
}
