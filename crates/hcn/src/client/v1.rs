//! The operations in `HNSCall`s.

use serde_json::Value;

use super::{Listed, from_value, hns};
use crate::call::{Hcn, Method};
use crate::schema::v1::{HnsEndpoint, HnsNetwork, PolicyList};
use crate::schema::{self, Endpoint, LoadBalancer, Network};
use crate::{Error, Guid};

const NETWORKS: &str = "/networks/";
pub(super) const ENDPOINTS: &str = "/endpoints/";
pub(super) const POLICY_LISTS: &str = "/policylists/";

/// Reads a list. One object that can't be understood does not hide the others; one without an id is left out.
fn list<V1, T>(
    hcn: &dyn Hcn,
    path: &str,
    keep: impl Fn(&V1) -> bool,
    convert: impl Fn(V1) -> Result<T, String>,
) -> Result<Vec<Listed<T>>, Error>
where
    V1: serde::de::DeserializeOwned,
{
    // A list that is missing is not an empty one.
    let values: Vec<Value> = from_value(hns(hcn, Method::Get, path.into(), String::new())?)?;
    let one = |value: Value| {
        let id: Guid = value.get("ID")?.as_str()?.parse().ok()?;
        let document = match serde_json::from_value::<V1>(value) {
            Ok(document) if keep(&document) => convert(document),
            Ok(_) => return None,
            Err(error) => Err(error.to_string()),
        };
        Some(Listed { id, document: Some(document) })
    };
    Ok(values.into_iter().filter_map(one).collect())
}

pub(super) fn network(hcn: &dyn Hcn, name: &str) -> Result<Option<Network>, Error> {
    let of_name = |network: &HnsNetwork| network.name.eq_ignore_ascii_case(name);
    let found = list(hcn, NETWORKS, of_name, |v1| Ok(Network::from(v1)))?;
    Ok(found.into_iter().find_map(|listed| listed.document?.ok()))
}

pub(super) fn networks(hcn: &dyn Hcn) -> Result<Vec<Listed<Network>>, Error> {
    list(hcn, NETWORKS, |_: &HnsNetwork| true, |v1| Ok(Network::from(v1)))
}

pub(super) fn endpoints(hcn: &dyn Hcn, network: Option<Guid>) -> Result<Vec<Listed<Endpoint>>, Error> {
    let of_network = |endpoint: &HnsEndpoint| network.is_none() || endpoint.virtual_network == network;
    list(hcn, ENDPOINTS, of_network, |v1| Ok(Endpoint::from(v1)))
}

pub(super) fn load_balancers(hcn: &dyn Hcn) -> Result<Vec<Listed<LoadBalancer>>, Error> {
    list(hcn, POLICY_LISTS, |_: &PolicyList| true, LoadBalancer::try_from)
}

fn get<V1: serde::de::DeserializeOwned>(hcn: &dyn Hcn, path: &str, id: Guid) -> Result<V1, Error> {
    from_value(hns(hcn, Method::Get, format!("{path}{id}"), String::new())?)
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
    let created: HnsEndpoint = from_value(hns(hcn, Method::Post, ENDPOINTS.into(), schema::write(&document))?)?;
    Ok(created.id.unwrap_or(id))
}

pub(super) fn create_load_balancer(hcn: &dyn Hcn, id: Guid, load_balancer: &LoadBalancer) -> Result<Guid, Error> {
    let mut document = PolicyList::from(load_balancer);
    document.id = Some(id);
    let created: PolicyList = from_value(hns(hcn, Method::Post, POLICY_LISTS.into(), schema::write(&document))?)?;
    Ok(created.id.unwrap_or(id))
}

pub(super) fn delete(hcn: &dyn Hcn, path: &str, id: Guid) -> Result<(), Error> {
    hns(hcn, Method::Delete, format!("{path}{id}"), String::new()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Call, Reply};

    struct Says(&'static str);

    impl Hcn for Says {
        fn call(&self, _: &Call) -> Result<Reply, Error> {
            Ok(Reply::Document(self.0.into()))
        }
    }

    #[test]
    fn a_list_that_is_missing_is_no_empty_list() {
        for reply in [r#"{"Success":true}"#, r#"{"Success":true,"Output":null}"#] {
            assert!(matches!(load_balancers(&Says(reply)), Err(Error::Document { .. })));
        }
        assert_eq!(load_balancers(&Says(r#"{"Success":true,"Output":[]}"#)), Ok(Vec::new()));
    }

    #[test]
    fn one_odd_object_hides_no_other() {
        let reply = r#"{"Success":true,"Output":[{"ID":"x"},{"ID":"0be07c06-0000-4000-8000-000000000001","References":7},
            {"ID":"0be07c06-0000-4000-8000-000000000002"}]}"#;
        let listed = load_balancers(&Says(reply)).unwrap();
        let readable: Vec<_> = listed.iter().map(|one| one.document.as_ref().is_some_and(Result::is_ok)).collect();
        assert_eq!(readable, [false, true]);
    }
}
