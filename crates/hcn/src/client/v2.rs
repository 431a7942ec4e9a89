//! The operations of the client through the HCN (v2) API.

use std::sync::Mutex;
use std::sync::PoisonError;

use serde_json::value::RawValue;

use super::unreadable::Tally;
use super::{Listed, document, unexpected, usable};
use crate::call::{Call, Handle, Hcn, Reply};
use crate::schema::{self, Endpoint, LoadBalancer, Network, Query};
use crate::{Class, Error, Guid, Hresult, Kind};

/// State of a client between calls.
#[derive(Default)]
pub(super) struct State {
    /// Open networks in which endpoints are created: `HcnCreateEndpoint` takes a handle.
    networks: Mutex<Vec<(Guid, Handle)>>,
    endpoint_ids: Ids,
    load_balancer_ids: Ids,
}

/// Whether HNS keeps the requested ids of a kind. Until that is known, each created object of the kind is read back.
#[derive(Default)]
struct Ids(Mutex<Option<bool>>);

/// An open object, closed when dropped.
struct Open<'a> {
    hcn: &'a dyn Hcn,
    kind: Kind,
    handle: Handle,
}

impl<'a> Open<'a> {
    fn by_id(hcn: &'a dyn Hcn, kind: Kind, id: Guid) -> Result<Self, Error> {
        Self::from(hcn, kind, &Call::Open { kind, id })
    }

    fn from(hcn: &'a dyn Hcn, kind: Kind, call: &Call) -> Result<Self, Error> {
        match hcn.call(call)? {
            Reply::Handle(handle) => Ok(Self { hcn, kind, handle }),
            other => Err(unexpected(call, &other)),
        }
    }

    fn query<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        let call = Call::Query { kind: self.kind, handle: self.handle, query: Query::all().to_json() };
        schema::read(call.function(), &document(self.hcn, &call)?)
    }

    /// The document of an object that `function` has created or modified.
    fn read_back<T: serde::de::DeserializeOwned>(&self, function: &'static str) -> Result<T, Error> {
        self.query().map_err(|error| Error::NotReadBack { function, source: Box::new(error) })
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        // A handle that HNS fails to close cannot be released in any other way.
        let _ = self.hcn.call(&Call::Close { kind: self.kind, handle: self.handle });
    }
}

pub(super) fn enumerate<T, R>(
    hcn: &dyn Hcn,
    tally: &Tally,
    kind: Kind,
    query: &Query,
    keep: impl FnMut(Listed<T>) -> Option<R>,
) -> Result<Vec<R>, Error> {
    let call = Call::Enumerate { kind, query: query.to_json() };
    let text = document(hcn, &call)?;
    let ids: Option<Vec<&RawValue>> = schema::read(call.function(), &text)?;
    let listed = ids.unwrap_or_default().into_iter().filter_map(|id| match serde_json::from_str(id.get()) {
        Ok(id) => Some(Listed { id, document: None }),
        Err(_) => {
            // The object cannot be opened without its id, and must not affect the others.
            tally.add_without_id(kind, &serde_json::from_str(id.get()).unwrap_or_default());
            None
        }
    });
    Ok(listed.filter_map(keep).collect())
}

pub(super) fn get<T: serde::de::DeserializeOwned>(hcn: &dyn Hcn, kind: Kind, id: Guid) -> Result<T, Error> {
    Open::by_id(hcn, kind, id)?.query()
}

pub(super) fn network_id(hcn: &dyn Hcn, tally: &Tally, name: &str) -> Result<Option<Guid>, Error> {
    let id = |listed: Listed<Network>| Some(listed.id);
    Ok(enumerate(hcn, tally, Kind::Network, &Query::name(name), id)?.into_iter().next())
}

pub(super) fn network(hcn: &dyn Hcn, id: Guid) -> Result<Network, Error> {
    usable("HcnQueryNetworkProperties", get(hcn, Kind::Network, id)?)
}

pub(super) fn delete(hcn: &dyn Hcn, kind: Kind, id: Guid) -> Result<(), Error> {
    hcn.call(&Call::Delete { kind, id }).map(drop)
}

pub(super) fn modify_load_balancer(
    hcn: &dyn Hcn,
    id: Guid,
    load_balancer: &LoadBalancer,
    verify: bool,
) -> Result<Option<LoadBalancer>, Error> {
    let open = Open::by_id(hcn, Kind::LoadBalancer, id)?;
    let settings = schema::write(load_balancer);
    let call = Call::Modify { kind: open.kind, handle: open.handle, settings };
    hcn.call(&call)?;
    verify.then(|| open.read_back(call.function())).transpose()
}

impl State {
    pub(super) fn create_endpoint(
        &self,
        hcn: &dyn Hcn,
        network: Guid,
        id: Guid,
        endpoint: &Endpoint,
    ) -> Result<Guid, Error> {
        let document = Endpoint { id: Some(id), host_compute_network: Some(network), ..endpoint.clone() };
        let settings = schema::write(&document);
        let create = |handle| {
            let call = Call::Create { kind: Kind::Endpoint, network: Some(handle), id, settings: settings.clone() };
            Open::from(hcn, Kind::Endpoint, &call)
        };
        let handle = self.open_network(hcn, network)?;
        let created = match create(handle) {
            // The network was deleted, or HNS has restarted, since the handle was opened. Open the network again and retry once: if that
            // fails too, the network is absent.
            Err(error) if error.class() == Class::Absent || error.code() == Some(Hresult::E_HANDLE) => {
                // Compares handles: if another thread has opened the same network again meanwhile, that handle differs and stays open.
                self.close_networks(hcn, |(_, open)| *open == handle);
                create(self.open_network(hcn, network)?)
            }
            result => result,
        };
        self.endpoint_ids.of("HcnCreateEndpoint", id, &created?, |document: &Endpoint| document.id)
    }

    pub(super) fn create_load_balancer(
        &self,
        hcn: &dyn Hcn,
        id: Guid,
        load_balancer: &LoadBalancer,
    ) -> Result<Guid, Error> {
        let settings = schema::write(&LoadBalancer { id: Some(id), ..load_balancer.clone() });
        let call = Call::Create { kind: Kind::LoadBalancer, network: None, id, settings };
        let created = Open::from(hcn, Kind::LoadBalancer, &call)?;
        self.load_balancer_ids.of(call.function(), id, &created, |document: &LoadBalancer| document.id)
    }

    pub(super) fn honours_ids(&self, kind: Kind) -> Option<bool> {
        let Ids(known) = match kind {
            Kind::Endpoint => &self.endpoint_ids,
            Kind::LoadBalancer => &self.load_balancer_ids,
            Kind::Network | Kind::Namespace | Kind::Route => return None,
        };
        *known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_network(&self, hcn: &dyn Hcn, id: Guid) -> Result<Handle, Error> {
        let mut open = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, handle)) = open.iter().find(|(network, _)| *network == id) {
            return Ok(*handle);
        }
        // Not dropped: the handle stays open in `networks` until `close_networks`.
        let network = std::mem::ManuallyDrop::new(Open::by_id(hcn, Kind::Network, id)?);
        open.push((id, network.handle));
        Ok(network.handle)
    }

    pub(super) fn release_network(&self, hcn: &dyn Hcn, id: Guid) {
        self.close_networks(hcn, |(network, _)| *network == id);
    }

    /// Closes the open networks that are stale.
    fn close_networks(&self, hcn: &dyn Hcn, is_stale: impl Fn(&(Guid, Handle)) -> bool) {
        let mut open = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, handle) in open.extract_if(.., |network| is_stale(network)) {
            drop(Open { hcn, kind: Kind::Network, handle });
        }
    }
}

impl Ids {
    /// The id of a created object: the requested id once HNS is known to keep ids, otherwise the id of the document that is read back.
    fn of<T: serde::de::DeserializeOwned>(
        &self,
        function: &'static str,
        requested: Guid,
        created: &Open<'_>,
        id: impl Fn(&T) -> Option<Guid>,
    ) -> Result<Guid, Error> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == Some(true) {
            return Ok(requested);
        }
        let actual = id(&created.read_back(function)?).unwrap_or(requested);
        *known = Some(actual == requested);
        Ok(actual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the ids of endpoints, and gives each load balancer the id `CHOSEN`.
    struct ChoosesLoadBalancerIds(Mutex<Guid>);

    const CHOSEN: Guid = Guid::from_u128(99);

    impl Hcn for ChoosesLoadBalancerIds {
        fn call(&self, call: &Call) -> Result<Reply, Error> {
            let mut created = self.0.lock().unwrap();
            match call {
                Call::Query { .. } => Ok(Reply::Document(format!(r#"{{"ID": "{created}"}}"#))),
                Call::Create { kind, id, .. } => {
                    *created = if *kind == Kind::LoadBalancer { CHOSEN } else { *id };
                    Ok(Reply::Handle(Handle(1)))
                }
                Call::Open { .. } => Ok(Reply::Handle(Handle(1))),
                _ => Ok(Reply::Done),
            }
        }
    }

    #[test]
    fn whether_hns_keeps_ids_is_known_per_kind() {
        let (hcn, state) = (ChoosesLoadBalancerIds(Mutex::default()), State::default());
        let known = |state: &State| [Kind::Endpoint, Kind::LoadBalancer].map(|kind| state.honours_ids(kind));
        assert_eq!(known(&state), [None, None]);
        let ids = [1, 2].map(Guid::from_u128);
        let endpoints = ids.map(|id| state.create_endpoint(&hcn, id, id, &Endpoint::default()).unwrap());
        assert_eq!((endpoints, known(&state)), (ids, [Some(true), None]));
        let load_balancers = ids.map(|id| state.create_load_balancer(&hcn, id, &LoadBalancer::default()).unwrap());
        assert_eq!((load_balancers, known(&state)), ([CHOSEN; 2], [Some(true), Some(false)]));
    }

    /// Carries out everything, except that queries fail.
    struct NoQueries(Hresult);

    impl Hcn for NoQueries {
        fn call(&self, call: &Call) -> Result<Reply, Error> {
            match call {
                Call::Query { .. } => Err(Error::hns(call.function(), self.0)),
                Call::Create { .. } | Call::Open { .. } => Ok(Reply::Handle(Handle(1))),
                _ => Ok(Reply::Done),
            }
        }
    }

    #[test]
    fn an_error_of_the_read_back_is_no_refusal_of_the_write() {
        for (code, expected) in [
            (Hresult::E_NOTIMPL, Class::Other),
            (Hresult::HCN_E_INVALID_POLICY, Class::Other),
            (Hresult::ELEMENT_NOT_FOUND, Class::Other),
            (Hresult::ERROR_ALREADY_EXISTS, Class::Other),
            (Hresult::HCN_E_PORT_ALREADY_EXISTS, Class::Other),
            (Hresult::RPC_S_SERVER_UNAVAILABLE, Class::Unavailable),
        ] {
            let (hcn, id, state) = (NoQueries(code), Guid::from_u128(1), State::default());
            let document = LoadBalancer::default();
            let errors = [
                state.create_endpoint(&hcn, id, id, &Endpoint::default()).unwrap_err(),
                state.create_load_balancer(&hcn, id, &document).unwrap_err(),
                modify_load_balancer(&hcn, id, &document, true).unwrap_err(),
            ];
            assert_eq!(errors.map(|error| error.class()), [expected; 3], "{code}");
        }
    }
}
