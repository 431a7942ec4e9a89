//! Typed operations on HNS objects, of either generation, behind one interface.
//!
//! The documents are those of v2; with [`Generation::V1`] they are converted. The fewest native calls are made: a created object is
//! not read back once HNS is known to honour ids, the handles of networks that endpoints are created in stay open, and a list
//! is of ids only where HNS gives ids only.

mod v1;
mod v2;

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::call::{Call, Hcn, Method, Reply};
use crate::error::{Class, Error};
use crate::features::Version;
use crate::kind::Kind;
use crate::schema::v1::Envelope;
use crate::schema::{self, Endpoint, LoadBalancer, Network};
use crate::{Guid, Hresult};

/// The generations of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// `HNSCall`: every build has it.
    V1,
    /// The HCN functions with schema 2: HNS 9.2 and later.
    V2,
}

/// One object of a list: its id, and its document, or what is made of it, where the list has it at no further cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    /// The id.
    pub id: Guid,
    /// The document; an error says why HNS's document can't be understood.
    pub document: Option<Result<T, String>>,
}

impl<T> Listed<T> {
    /// Makes something else of the document, where there is one that can be understood.
    pub fn and_then<U>(self, make: impl FnOnce(Guid, T) -> Result<U, String>) -> Listed<U> {
        let Self { id, document } = self;
        Listed { id, document: document.map(|document| document.and_then(|document| make(id, document))) }
    }
}

/// A typed client of HNS.
pub struct Client {
    hcn: Arc<dyn Hcn>,
    generation: Generation,
    v2: v2::State,
}

impl Client {
    /// A client of one generation.
    pub fn new(hcn: Arc<dyn Hcn>, generation: Generation) -> Self {
        Self { hcn, generation, v2: v2::State::default() }
    }

    /// The generation in use.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether HNS keeps the ids that objects are created with; none, until one was created.
    pub fn honours_ids(&self) -> Option<bool> {
        self.v2.honours_ids()
    }

    /// The version of HNS. One call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn version(&self) -> Result<Version, Error> {
        hns(&*self.hcn, Method::Get, "/globals/version".into(), String::new(), read_output)
    }

    /// The network of a name, or `None` where HNS says that there is none. Three calls, one where there is none.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`]. An error never means that the network is absent.
    pub fn network(&self, name: &str) -> Result<Option<Network>, Error> {
        match self.generation {
            Generation::V2 => v2::network(&*self.hcn, name),
            Generation::V1 => v1::network(&*self.hcn, name),
        }
    }

    /// The id of the network of a name, or `None` where HNS says that there is none. One call.
    ///
    /// # Errors
    /// As [`Client::network`].
    pub fn network_id(&self, name: &str) -> Result<Option<Guid>, Error> {
        match self.generation {
            Generation::V2 => v2::network_id(&*self.hcn, name),
            Generation::V1 => Ok(v1::network(&*self.hcn, name)?.and_then(|network| network.id)),
        }
    }

    /// The network of an id. Two calls; an error of class [`Class::Absent`] where it is not there.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn network_of(&self, id: Guid) -> Result<Network, Error> {
        match self.generation {
            Generation::V2 => v2::get(&*self.hcn, Kind::Network, id),
            Generation::V1 => v1::network_of(&*self.hcn, id),
        }
    }

    /// The documents of all networks by the v1 list, whatever the generation. One call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn networks_in_bulk(&self) -> Result<Vec<Listed<Network>>, Error> {
        v1::networks(&*self.hcn)
    }

    /// Closes what is kept open of a network that is no longer used.
    pub fn release_network(&self, id: Guid) {
        self.v2.release_network(&*self.hcn, id);
    }

    /// What is kept of each of the endpoints of a network: one document is read at a time, and only what is kept of it stays. One call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn endpoints<R>(
        &self,
        network: Guid,
        keep: impl FnMut(Listed<Endpoint>) -> Option<R>,
    ) -> Result<Vec<R>, Error> {
        match self.generation {
            Generation::V2 => v2::enumerate(&*self.hcn, Kind::Endpoint, &schema::Query::network(network), keep),
            Generation::V1 => v1::endpoints(&*self.hcn, Some(network), keep),
        }
    }

    /// As [`endpoints`](Self::endpoints), of all networks of the host, with their documents by the v1 list, whatever the generation.
    /// One call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn endpoints_in_bulk<R>(&self, keep: impl FnMut(Listed<Endpoint>) -> Option<R>) -> Result<Vec<R>, Error> {
        v1::endpoints(&*self.hcn, None, keep)
    }

    /// What is kept of each of the load balancers of the host, as [`endpoints`](Self::endpoints). One call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn load_balancers<R>(&self, keep: impl FnMut(Listed<LoadBalancer>) -> Option<R>) -> Result<Vec<R>, Error> {
        match self.generation {
            Generation::V2 => v2::enumerate(&*self.hcn, Kind::LoadBalancer, &schema::Query::all(), keep),
            Generation::V1 => v1::load_balancers(&*self.hcn, keep),
        }
    }

    /// As [`load_balancers`](Self::load_balancers), by the v1 list, whatever the generation: backends, frontends and ports are right,
    /// flags and affinity are as far as v1 can say them. One call.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn load_balancers_in_bulk<R>(
        &self,
        keep: impl FnMut(Listed<LoadBalancer>) -> Option<R>,
    ) -> Result<Vec<R>, Error> {
        v1::load_balancers(&*self.hcn, keep)
    }

    /// One endpoint. Two calls; an error of class [`Class::Absent`] where it is not there.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn endpoint(&self, id: Guid) -> Result<Endpoint, Error> {
        match self.generation {
            Generation::V2 => v2::get(&*self.hcn, Kind::Endpoint, id),
            Generation::V1 => v1::endpoint(&*self.hcn, id),
        }
    }

    /// One load balancer. Two calls; an error of class [`Class::Absent`] where it is not there.
    ///
    /// # Errors
    /// As [`Hcn::call`], and [`Error::Document`].
    pub fn load_balancer(&self, id: Guid) -> Result<LoadBalancer, Error> {
        match self.generation {
            Generation::V2 => v2::get(&*self.hcn, Kind::LoadBalancer, id),
            Generation::V1 => v1::load_balancer(&*self.hcn, id),
        }
    }

    /// Creates an endpoint in a network and answers with its id: the wanted one, except where HNS chose another. One call, after
    /// the first.
    ///
    /// # Errors
    /// As [`Hcn::call`]; class [`Class::Exists`] where the id is taken.
    pub fn create_endpoint(&self, network: Guid, id: Guid, endpoint: &Endpoint) -> Result<Guid, Error> {
        match self.generation {
            Generation::V2 => self.v2.create_endpoint(&*self.hcn, network, id, endpoint),
            Generation::V1 => v1::create_endpoint(&*self.hcn, network, id, endpoint),
        }
    }

    /// Creates a load balancer and answers with its id: the wanted one, except where HNS chose another. One call, after the first.
    ///
    /// # Errors
    /// As [`Hcn::call`]; class [`Class::Exists`] where the id is taken, [`Class::PortInUse`] where the frontend is.
    pub fn create_load_balancer(&self, id: Guid, load_balancer: &LoadBalancer) -> Result<Guid, Error> {
        match self.generation {
            Generation::V2 => self.v2.create_load_balancer(&*self.hcn, id, load_balancer),
            Generation::V1 => v1::create_load_balancer(&*self.hcn, id, load_balancer),
        }
    }

    /// Changes a load balancer in place to the whole document, and reads it back if `verify` asks for it. Two calls, three with
    /// verification.
    ///
    /// # Errors
    /// As [`Hcn::call`]; class [`Class::Unsupported`] where HNS or the generation can't.
    pub fn modify_load_balancer(
        &self,
        id: Guid,
        load_balancer: &LoadBalancer,
        verify: bool,
    ) -> Result<Option<LoadBalancer>, Error> {
        match self.generation {
            Generation::V2 => v2::modify_load_balancer(&*self.hcn, id, load_balancer, verify),
            Generation::V1 => Err(Error::hns("HcnModifyLoadBalancer", Hresult::E_NOTIMPL)),
        }
    }

    /// Deletes an endpoint. One call. That it is gone already is a success.
    ///
    /// # Errors
    /// As [`Hcn::call`].
    pub fn delete_endpoint(&self, id: Guid) -> Result<(), Error> {
        gone_is_done(match self.generation {
            Generation::V2 => v2::delete(&*self.hcn, Kind::Endpoint, id),
            Generation::V1 => v1::delete(&*self.hcn, v1::ENDPOINTS, id),
        })
    }

    /// Deletes a load balancer. One call. That it is gone already is a success.
    ///
    /// # Errors
    /// As [`Hcn::call`].
    pub fn delete_load_balancer(&self, id: Guid) -> Result<(), Error> {
        gone_is_done(match self.generation {
            Generation::V2 => v2::delete(&*self.hcn, Kind::LoadBalancer, id),
            Generation::V1 => v1::delete(&*self.hcn, v1::POLICY_LISTS, id),
        })
    }
}

fn gone_is_done(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.class() == Class::Absent => Ok(()),
        other => other,
    }
}

/// Makes a call that answers with a document.
fn document(hcn: &dyn Hcn, call: &Call) -> Result<String, Error> {
    match hcn.call(call)? {
        Reply::Document(text) => Ok(text),
        other => Err(unexpected(call, &other)),
    }
}

fn unexpected(call: &Call, reply: &Reply) -> Error {
    Error::Document { function: call.function(), reason: format!("unexpected kind of answer: {reply:?}") }
}

/// Makes an `HNSCall`, opens the envelope of its answer and reads what is in it.
fn hns<T>(
    hcn: &dyn Hcn,
    method: Method,
    path: String,
    body: String,
    read: impl FnOnce(&str) -> Result<T, Error>,
) -> Result<T, Error> {
    let call = Call::Hns { method, path, body };
    let text = document(hcn, &call)?;
    let Envelope { success, error, output } = schema::read(call.function(), &text)?;
    match call {
        Call::Hns { path, .. } if !success => {
            Err(Error::Envelope { method: method.as_str(), path, message: error.trim_end().to_owned() })
        }
        _ => read(output.map_or("null", RawValue::get)),
    }
}

fn read_output<T: serde::de::DeserializeOwned>(output: &str) -> Result<T, Error> {
    schema::read("HNSCall", output)
}
