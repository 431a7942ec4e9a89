//! The operations of the client through the HNS v1 API.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::unreadable::Tally;
use super::{Listed, hns, read_output, usable};
use crate::call::{Hcn, Method};
use crate::schema::document::not_an_object;
use crate::schema::member::Member;
use crate::schema::v1::{HnsEndpoint, HnsNetwork, PolicyList};
use crate::schema::{self, Document, Endpoint, LoadBalancer, Network};
use crate::{Error, Guid, Kind};

const NETWORKS: &str = "/networks/";
pub(super) const ENDPOINTS: &str = "/endpoints/";
pub(super) const POLICY_LISTS: &str = "/policylists/";

/// Reads a list one object at a time. An invalid object does not affect the others. An object without a readable id is left out, and counted.
fn list<V1, T, R>(
    hcn: &dyn Hcn,
    tally: &Tally,
    (kind, path): (Kind, &str),
    convert: impl Fn(V1) -> Option<Result<T, String>>,
    mut keep: impl FnMut(Listed<T>) -> Option<R>,
) -> Result<Vec<R>, Error>
where
    V1: Member,
    T: Document,
{
    let one = |object: &RawValue| {
        let value: Result<Value, _> = serde_json::from_str(object.get());
        let id = match &value {
            Ok(value) => value.get("ID").cloned().unwrap_or_default(),
            // The id is read even if the rest of the object is invalid, for example a number that is too large.
            Err(_) => serde_json::from_str(object.get()).map(|Identified { id }| id).unwrap_or_default(),
        };
        let Some(id) = id.as_str().and_then(|id| id.parse().ok()) else {
            tally.add_without_id(kind, &id);
            return None;
        };
        let document = match value.map(|value| V1::read(&value).ok_or_else(|| not_an_object(&value))) {
            Ok(Ok(document)) => convert(document)?,
            Ok(Err(reason)) => Err(reason),
            Err(error) => Err(error.to_string()),
        };
        document.iter().for_each(|document| tally.add_document(kind, id, document));
        keep(Listed { id, document: Some(document) })
    };
    hns(hcn, Method::Get, path.into(), String::new(), |output| {
        // A missing list is an error. As an empty list, it would make all objects absent.
        let objects: Vec<&RawValue> = schema::read("HNSCall", output)?;
        Ok(objects.into_iter().filter_map(one).collect())
    })
}

/// The part of an object that is read even if the rest is invalid.
#[derive(Default, Deserialize)]
struct Identified {
    #[serde(rename = "ID", default)]
    id: Value,
}

pub(super) fn network(hcn: &dyn Hcn, tally: &Tally, name: &str) -> Result<Option<Network>, Error> {
    let networks = networks(hcn, tally)?;
    let documents = || networks.iter().filter_map(|listed| listed.document.as_ref());
    let found = documents().flatten().find(|network| network.name.eq_ignore_ascii_case(name));
    if let Some(found) = found {
        return Ok(Some(found.clone()));
    }
    // It may be one whose name cannot be read, so it cannot count as absent.
    let unreadable = documents().find_map(|document| document.as_ref().err().cloned());
    unreadable.map_or(Ok(None), |reason| Err(Error::Document { function: "HNSCall", reason }))
}

pub(super) fn networks(hcn: &dyn Hcn, tally: &Tally) -> Result<Vec<Listed<Network>>, Error> {
    let convert = |v1: HnsNetwork| Some(usable("HNSCall", Network::from(v1)).map_err(|error| error.to_string()));
    list(hcn, tally, (Kind::Network, NETWORKS), convert, Some)
}

pub(super) fn endpoints<R>(
    hcn: &dyn Hcn,
    tally: &Tally,
    network: Option<Guid>,
    keep: impl FnMut(Listed<Endpoint>) -> Option<R>,
) -> Result<Vec<R>, Error> {
    let of_network = |endpoint: HnsEndpoint| {
        // The endpoint may be in this network. If it were left out, it would count as deleted.
        if endpoint.unreadable.contains(&"VirtualNetwork") {
            return Some(Err("cannot read VirtualNetwork".to_owned()));
        }
        (network.is_none() || endpoint.virtual_network == network).then(|| Ok(Endpoint::from(endpoint)))
    };
    list(hcn, tally, (Kind::Endpoint, ENDPOINTS), of_network, keep)
}

pub(super) fn load_balancers<R>(
    hcn: &dyn Hcn,
    tally: &Tally,
    keep: impl FnMut(Listed<LoadBalancer>) -> Option<R>,
) -> Result<Vec<R>, Error> {
    list(hcn, tally, (Kind::LoadBalancer, POLICY_LISTS), |v1: PolicyList| Some(LoadBalancer::try_from(v1)), keep)
}

fn get<V1: DeserializeOwned>(hcn: &dyn Hcn, path: &str, id: Guid) -> Result<V1, Error> {
    hns(hcn, Method::Get, format!("{path}{id}"), String::new(), read_output)
}

pub(super) fn network_of(hcn: &dyn Hcn, id: Guid) -> Result<Network, Error> {
    usable("HNSCall", get::<HnsNetwork>(hcn, NETWORKS, id)?.into())
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
    use crate::Class;
    use crate::call::{Call, Reply};

    struct OneReply(&'static str);

    impl Hcn for OneReply {
        fn call(&self, _: &Call) -> Result<Reply, Error> {
            Ok(Reply::Document(self.0.into()))
        }
    }

    fn load_balancers_of(reply: &'static str) -> Result<Vec<Listed<LoadBalancer>>, Error> {
        load_balancers(&OneReply(reply), &Tally::default(), Some)
    }

    #[test]
    fn a_missing_list_is_an_error() {
        for reply in [r#"{"Success":true}"#, r#"{"Success":true,"Output":null}"#] {
            assert!(matches!(load_balancers_of(reply), Err(Error::Document { .. })));
        }
        assert_eq!(load_balancers_of(r#"{"Success":true,"Output":[]}"#), Ok(Vec::new()));
    }

    #[test]
    fn an_invalid_object_does_not_affect_the_others() {
        let reply = r#"{"Success":true,"Output":[{"ID":"x"},7,
            {"ID":"0be07c06-0000-4000-8000-000000000001","Policies":[{"Type":"ROUTE"}]},
            {"ID":"0be07c06-0000-4000-8000-000000000002","References":7}]}"#;
        let tally = Tally::default();
        let listed = load_balancers(&OneReply(reply), &tally, Some).unwrap();
        let readable: Vec<_> = listed.iter().map(|one| one.document.as_ref().is_some_and(Result::is_ok)).collect();
        assert_eq!(readable, [false, true]);
        let counted: Vec<_> = tally.all().into_iter().map(|one| (one.member, one.count, one.id, one.value)).collect();
        let second = Some(Guid::from_u128(0x0be0_7c06_0000_4000_8000_0000_0000_0002));
        assert_eq!(counted, [("ID".into(), 2, None, "null".into()), ("References".into(), 1, second, "7".to_owned())]);
    }

    #[test]
    fn an_endpoint_whose_network_cannot_be_read_is_listed_without_its_document() {
        let reply = r#"{"Success":true,"Output":[{"ID":"0be07c06-0000-4000-8000-000000000001","VirtualNetwork":7}]}"#;
        let listed = endpoints(&OneReply(reply), &Tally::default(), Some(Guid::from_u128(1)), Some).unwrap();
        assert_eq!(listed.len(), 1);
        assert!(matches!(&listed[0].document, Some(Err(_))));
    }

    #[test]
    fn a_network_is_not_absent_while_a_name_cannot_be_read() {
        let find = |reply| network(&OneReply(reply), &Tally::default(), "cbr0");
        let unreadable = r#"{"Success":true,"Output":[{"ID":"0be07c06-0000-4000-8000-000000000001","Name":{}}]}"#;
        assert!(matches!(find(unreadable), Err(Error::Document { .. })));
        let other = r#"{"Success":true,"Output":[{"ID":"0be07c06-0000-4000-8000-000000000001","Name":"nat"}]}"#;
        assert_eq!(find(other), Ok(None));
    }

    #[test]
    fn a_network_whose_type_cannot_be_read_is_an_error() {
        let id = Guid::from_u128(1);
        let reply = r#"{"Success":true,"Output":{"ID":"00000000-0000-0000-0000-000000000001","Type":["Overlay"]}}"#;
        let error = network_of(&OneReply(reply), id).unwrap_err();
        assert_eq!(error.to_string(), r#"HNSCall returned an invalid document: cannot read Type ["Overlay"]"#);
    }

    #[test]
    fn a_failure_in_the_envelope_has_the_class_of_its_code_and_none_without_one() {
        let class = |reply| version(&OneReply(reply)).unwrap_err().class();
        assert_eq!(class(r#"{"Success":false,"Error":"Element not found. ","ErrorCode":2147943568}"#), Class::Absent);
        assert_eq!(class(r#"{"Success":false,"Error":null,"ErrorCode":"2147943568"}"#), Class::Absent);
        // Absent only by a code, whatever the text says.
        for reply in [
            r#"{"Success":false,"Error":"The endpoint was not found. "}"#,
            r#"{"Success":false,"Error":"Element not found. ","ErrorCode":0}"#,
            r#"{"Success":false,"Error":"Element not found. ","ErrorCode":1168}"#,
            r#"{"Output":{"Major":9,"Minor":5}}"#,
        ] {
            assert_eq!(class(reply), Class::Other, "{reply}");
        }
        assert!(version(&OneReply(r#"{"Output":{"Major":9,"Minor":5},"Success":true}"#)).is_ok());
    }

    fn version(hcn: &OneReply) -> Result<crate::Version, Error> {
        hns(hcn, Method::Get, "/globals/version".into(), String::new(), read_output)
    }
}
