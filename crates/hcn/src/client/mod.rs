//! Typed operations on HNS objects, with the HCN (v2) API or the HNS v1 API.
//!
//! Documents have the v2 schema; with [`ApiVersion::V1`] they are converted. The client saves native calls, since each takes
//! milliseconds: once it has seen that HNS keeps the requested ids of a kind, it does not read created objects of that kind back; it keeps the networks open in
//! which it creates endpoints; and where one call returns only ids, it lists only ids.

mod unreadable;
mod v1;
mod v2;

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::call::{Call, Hcn, Method, Reply};
use crate::error::{Class, Error, ErrorRecord};
use crate::features::Version;
use crate::kind::Kind;
use crate::schema::v1::Envelope;
use crate::schema::{self, Document, Endpoint, LoadBalancer, Network};
use crate::{Guid, Hresult};
use unreadable::Tally;
pub use unreadable::UnreadableMember;

/// Which API of HNS a client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiVersion {
    /// The HNS v1 API, `HNSCall`. Every build has it.
    V1,
    /// The HCN (v2) API with schema 2. HNS 9.2 and later.
    V2,
}

/// One object of a list: its id, and its document (or a value made from it) if the list contains documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    /// The id of the object.
    pub id: Guid,
    /// The document, or why it is invalid. `None`: the list has ids only.
    pub document: Option<Result<T, String>>,
}

impl<T> Listed<T> {
    /// Converts a valid document.
    pub fn and_then<U>(self, make: impl FnOnce(Guid, T) -> Result<U, String>) -> Listed<U> {
        let Self { id, document } = self;
        Listed { id, document: document.map(|document| document.and_then(|document| make(id, document))) }
    }
}

/// A typed client of HNS.
pub struct Client {
    hcn: Arc<dyn Hcn>,
    api_version: ApiVersion,
    v2: v2::State,
    unreadable: Arc<Tally>,
}

impl Client {
    /// Creates a client for one API. Makes no call.
    pub fn new(hcn: Arc<dyn Hcn>, api_version: ApiVersion) -> Self {
        Self { hcn, api_version, v2: v2::State::default(), unreadable: Arc::default() }
    }

    /// The API in use.
    pub fn api_version(&self) -> ApiVersion {
        self.api_version
    }

    /// Whether HNS keeps the ids requested at creation, of endpoints or load balancers. `None` until the first object of the kind was created
    /// through the HCN (v2) API.
    pub fn honours_ids(&self, kind: Kind) -> Option<bool> {
        self.v2.honours_ids(kind)
    }

    /// Continues to count the unreadable members that another client of the same HNS has counted.
    pub fn inherit_counts(&mut self, before: &Client) {
        self.unreadable = before.unreadable.clone();
    }

    /// The members of documents that could not be read.
    pub fn unreadable_members(&self) -> Vec<UnreadableMember> {
        self.unreadable.all()
    }

    /// The version of HNS, by `GET /globals/version`. One call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn version(&self) -> Result<Version, Error> {
        hns(&*self.hcn, Method::Get, "/globals/version".into(), String::new(), read_output)
    }

    /// The network with a name; `None` if HNS reports that there is none. HCN (v2) API: three calls, or one if there is
    /// none. HNS v1 API: one call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`]. An error never means that the network is absent.
    pub fn network(&self, name: &str) -> Result<Option<Network>, Error> {
        match self.api_version {
            ApiVersion::V2 => self
                .network_id(name)?
                .map(|id| self.counted(Kind::Network, id, v2::network(&*self.hcn, id)))
                .transpose(),
            ApiVersion::V1 => v1::network(&*self.hcn, &self.unreadable, name),
        }
    }

    /// The id of the network with a name; `None` if HNS reports that there is none. One call.
    ///
    /// # Errors
    /// As [`Client::network`].
    pub fn network_id(&self, name: &str) -> Result<Option<Guid>, Error> {
        match self.api_version {
            ApiVersion::V2 => v2::network_id(&*self.hcn, &self.unreadable, name),
            ApiVersion::V1 => Ok(v1::network(&*self.hcn, &self.unreadable, name)?.and_then(|network| network.id)),
        }
    }

    /// The network with an id. HCN (v2) API: two calls (open, query). HNS v1 API: one call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`]. Class [`Class::Absent`]: HNS has no such network.
    pub fn network_of(&self, id: Guid) -> Result<Network, Error> {
        let network = match self.api_version {
            ApiVersion::V2 => v2::network(&*self.hcn, id),
            ApiVersion::V1 => v1::network_of(&*self.hcn, id),
        };
        self.counted(Kind::Network, id, network)
    }

    /// The documents of all networks, from the v1 list whichever API is in use. One call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn networks_from_v1_list(&self) -> Result<Vec<Listed<Network>>, Error> {
        v1::networks(&*self.hcn, &self.unreadable)
    }

    /// Closes the handle that the client keeps of a network, if it has one.
    pub fn release_network(&self, id: Guid) {
        self.v2.release_network(&*self.hcn, id);
    }

    /// The endpoints of a network, each converted by `keep`, which drops an endpoint with `None`. Documents are read one at a time, so
    /// that memory holds the kept values only. One call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn endpoints<R>(
        &self,
        network: Guid,
        keep: impl FnMut(Listed<Endpoint>) -> Option<R>,
    ) -> Result<Vec<R>, Error> {
        match self.api_version {
            ApiVersion::V2 => {
                let query = schema::Query::network(network);
                v2::enumerate(&*self.hcn, &self.unreadable, Kind::Endpoint, &query, keep)
            }
            ApiVersion::V1 => v1::endpoints(&*self.hcn, &self.unreadable, Some(network), keep),
        }
    }

    /// As [`endpoints`](Self::endpoints), for all networks of the host, with documents from the v1 list whichever API is in use. One
    /// call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn endpoints_from_v1_list<R>(&self, keep: impl FnMut(Listed<Endpoint>) -> Option<R>) -> Result<Vec<R>, Error> {
        v1::endpoints(&*self.hcn, &self.unreadable, None, keep)
    }

    /// The load balancers of the host, converted as by [`endpoints`](Self::endpoints). One call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn load_balancers<R>(&self, keep: impl FnMut(Listed<LoadBalancer>) -> Option<R>) -> Result<Vec<R>, Error> {
        match self.api_version {
            ApiVersion::V2 => {
                v2::enumerate(&*self.hcn, &self.unreadable, Kind::LoadBalancer, &schema::Query::all(), keep)
            }
            ApiVersion::V1 => v1::load_balancers(&*self.hcn, &self.unreadable, keep),
        }
    }

    /// As [`load_balancers`](Self::load_balancers), with documents from the v1 list whichever API is in use. Backends, frontends and
    /// ports are complete; flags and affinity are limited to what the v1 schema has. One call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn load_balancers_from_v1_list<R>(
        &self,
        keep: impl FnMut(Listed<LoadBalancer>) -> Option<R>,
    ) -> Result<Vec<R>, Error> {
        v1::load_balancers(&*self.hcn, &self.unreadable, keep)
    }

    /// The endpoint with an id. HCN (v2) API: two calls (open, query). HNS v1 API: one call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`]. Class [`Class::Absent`]: HNS has no such endpoint.
    pub fn endpoint(&self, id: Guid) -> Result<Endpoint, Error> {
        let endpoint = match self.api_version {
            ApiVersion::V2 => v2::get(&*self.hcn, Kind::Endpoint, id),
            ApiVersion::V1 => v1::endpoint(&*self.hcn, id),
        };
        self.counted(Kind::Endpoint, id, endpoint)
    }

    /// The load balancer with an id. HCN (v2) API: two calls (open, query). HNS v1 API: one call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`]. Class [`Class::Absent`]: HNS has no such load balancer.
    pub fn load_balancer(&self, id: Guid) -> Result<LoadBalancer, Error> {
        let load_balancer = match self.api_version {
            ApiVersion::V2 => v2::get(&*self.hcn, Kind::LoadBalancer, id),
            ApiVersion::V1 => v1::load_balancer(&*self.hcn, id),
        };
        self.counted(Kind::LoadBalancer, id, load_balancer)
    }

    /// Creates an endpoint in a network. Returns its id, which differs from the requested one if HNS chose another. One call; more for
    /// the first endpoint of a network and the first endpoint of the client.
    ///
    /// # Errors
    /// As [`Hcn::call`]. Class [`Class::Exists`]: the id or the address is in use.
    pub fn create_endpoint(&self, network: Guid, id: Guid, endpoint: &Endpoint) -> Result<Guid, Error> {
        match self.api_version {
            ApiVersion::V2 => self.v2.create_endpoint(&*self.hcn, network, id, endpoint),
            ApiVersion::V1 => v1::create_endpoint(&*self.hcn, network, id, endpoint),
        }
    }

    /// Creates a load balancer. Returns its id, which differs from the requested one if HNS chose another. One call; two for the first
    /// load balancer of the client.
    ///
    /// # Errors
    /// As [`Hcn::call`]. Class [`Class::Exists`]: the id or the frontend is in use; [`Class::PortInUse`]: the frontend is.
    pub fn create_load_balancer(&self, id: Guid, load_balancer: &LoadBalancer) -> Result<Guid, Error> {
        match self.api_version {
            ApiVersion::V2 => self.v2.create_load_balancer(&*self.hcn, id, load_balancer),
            ApiVersion::V1 => v1::create_load_balancer(&*self.hcn, id, load_balancer),
        }
    }

    /// Updates a load balancer in place with a whole document. With `verify` it is read back, since HNS 15.4 reports success and
    /// changes nothing (kubernetes 131466). Two calls, three with `verify`.
    ///
    /// # Errors
    /// As [`Hcn::call`]. Class [`Class::Unsupported`]: this build or the HNS v1 API has no such function.
    pub fn modify_load_balancer(
        &self,
        id: Guid,
        load_balancer: &LoadBalancer,
        verify: bool,
    ) -> Result<Option<LoadBalancer>, Error> {
        match self.api_version {
            ApiVersion::V2 => {
                let read_back = v2::modify_load_balancer(&*self.hcn, id, load_balancer, verify)?;
                read_back.map(|document| self.counted(Kind::LoadBalancer, id, Ok(document))).transpose()
            }
            ApiVersion::V1 => Err(Error::hns("HcnModifyLoadBalancer", Hresult::E_NOTIMPL)),
        }
    }

    /// Deletes an endpoint. One call. Succeeds if HNS has no such endpoint.
    ///
    /// # Errors
    /// As [`Hcn::call`].
    pub fn delete_endpoint(&self, id: Guid) -> Result<(), Error> {
        absent_is_success(match self.api_version {
            ApiVersion::V2 => v2::delete(&*self.hcn, Kind::Endpoint, id),
            ApiVersion::V1 => v1::delete(&*self.hcn, v1::ENDPOINTS, id),
        })
    }

    /// Deletes a load balancer. One call. Succeeds if HNS has no such load balancer.
    ///
    /// # Errors
    /// As [`Hcn::call`].
    pub fn delete_load_balancer(&self, id: Guid) -> Result<(), Error> {
        absent_is_success(match self.api_version {
            ApiVersion::V2 => v2::delete(&*self.hcn, Kind::LoadBalancer, id),
            ApiVersion::V1 => v1::delete(&*self.hcn, v1::POLICY_LISTS, id),
        })
    }

    /// Counts the members of a document that could not be read.
    fn counted<T: Document>(&self, kind: Kind, id: Guid, document: Result<T, Error>) -> Result<T, Error> {
        document.inspect(|document| self.unreadable.add_document(kind, id, document))
    }
}

/// Returns a network if its name, type, policies and prefixes can be read. Otherwise it could be taken for another network, its load balancers would
/// be wrong, or its backends would have no network. After an error, what is known of the network stays.
fn usable(function: &'static str, network: Network) -> Result<Network, Error> {
    let is_needed = |member: &str| {
        let needed = ["Name", "Type", "Policies", "Ipams", "Ipams.Subnets", "Ipams.Subnets.IpAddressPrefix"];
        // The names in v1.
        needed.contains(&member) || ["Subnets", "Ipams.Subnets.AddressPrefix"].contains(&member)
    };
    match network.unreadable_members().into_iter().find(|one| is_needed(&one.member)) {
        Some(unreadable) => Err(Error::Document { function, reason: unreadable.to_string() }),
        None => Ok(network),
    }
}

fn absent_is_success(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.class() == Class::Absent => Ok(()),
        other => other,
    }
}

/// Makes a call whose reply is a document.
fn document(hcn: &dyn Hcn, call: &Call) -> Result<String, Error> {
    match hcn.call(call)? {
        Reply::Document(text) => Ok(text),
        other => Err(unexpected(call, &other)),
    }
}

fn unexpected(call: &Call, reply: &Reply) -> Error {
    Error::Document { function: call.function(), reason: format!("unexpected kind of reply: {reply:?}") }
}

/// Makes an `HNSCall` and reads the output in its envelope.
fn hns<T>(
    hcn: &dyn Hcn,
    method: Method,
    path: String,
    body: String,
    read: impl FnOnce(&str) -> Result<T, Error>,
) -> Result<T, Error> {
    let call = Call::Hns { method, path, body };
    let text = document(hcn, &call)?;
    let Envelope { success, error, error_code, output } = schema::read(call.function(), &text)?;
    let code = Hresult(error_code);
    match call {
        Call::Hns { .. } if !success && !code.is_success() => {
            let record = ErrorRecord { success, error, error_code };
            Err(Error::Hns { function: call.function(), code, record: Some(record) })
        }
        Call::Hns { path, .. } if !success => {
            Err(Error::Envelope { method: method.as_str(), path, message: error.trim_end().to_owned() })
        }
        _ => read(output.map_or("null", RawValue::get)),
    }
}

fn read_output<T: serde::de::DeserializeOwned>(output: &str) -> Result<T, Error> {
    schema::read("HNSCall", output)
}
