//! The part of a probe that writes: it creates, modifies and deletes objects of its own, and compares what HNS answers.
//!
//! Its backends are remote endpoints that it creates, not pods, and each load balancer has endpoints of its own: more than one load balancer on an
//! endpoint has made HNS of Windows Server 2019 hang (aks-engine#4315).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hcn::call::Method;
use hcn::schema::{Endpoint, LoadBalancer};
use hcn::{ApiVersion, Call, Class, Client, Error, Features, Guid, Hcn, Kind, Reply, Version};
use hcn_survey::{Answer, Check, Finding, answer, judge};
use serde_json::Value;

use super::created::Created;
use super::scratch::{
    FIRST_ENDPOINT, LOAD_BALANCER, MEASURED_ENDPOINT, OF_REUSED_ID, OF_SAME_FRONTEND, OF_SAME_ID, OF_UNKNOWN_MEMBER,
    OTHER_ENDPOINT, SECOND_ENDPOINT, SECOND_LOAD_BALANCER, WITH_UNKNOWN_MEMBER, WITHOUT_BACKEND,
};
use super::stopwatch::Stopwatch;
use super::{raw, removal, scratch};
use crate::error::CommandError;

/// The member that no schema has.
const UNKNOWN_MEMBER: &str = "HnsproxyProbe";
/// A build whose writes take 3.3 s each (kubernetes 109124) is measured with fewer calls.
const MAX_MEASUREMENT: Duration = Duration::from_secs(60);

pub(super) struct Writer<'a> {
    pub(super) hcn: Arc<dyn Hcn>,
    pub(super) client: Client,
    /// A client of the HNS v1 API.
    pub(super) v1: Client,
    pub(super) version: Version,
    /// The network of the endpoints.
    pub(super) network: Guid,
    pub(super) overlay: bool,
    /// Whether a shutdown was requested.
    pub(super) is_stopped: &'a dyn Fn() -> bool,
    /// The objects that later checks need.
    pub(super) needed: BTreeSet<Guid>,
    pub(super) created: Created,
    pub(super) findings: Vec<Finding>,
}

impl Writer<'_> {
    /// Makes all checks, then measures `samples` calls of each kind. The caller removes the objects, whatever the result is.
    ///
    /// # Errors
    /// If a shutdown is requested, or HNS refuses what all checks need.
    pub(super) fn run(&mut self, stopwatch: &Stopwatch, samples: usize) -> Result<(), CommandError> {
        let first = self.check_endpoint()?;
        let second = self.create_endpoint(SECOND_ENDPOINT)?;
        let backends = [first, second];
        let balancer = self.check_load_balancer(&backends)?;
        self.needed = BTreeSet::from([first, second, balancer]);
        self.check_refusals()?;
        let modifies = self.is_v2() && self.check_modification(balancer, &backends)?;
        let deletes = self.check_deletion(balancer)?;
        self.check_local_endpoint()?;
        self.check_v1()?;
        // A load balancer that is left would share its backends with the next one.
        self.measure(stopwatch, if deletes { samples } else { samples.min(1) }, modifies)
    }

    fn check_endpoint(&mut self) -> Result<Guid, CommandError> {
        let id = self.create_endpoint(FIRST_ENDPOINT)?;
        self.note(Check::EndpointId, kept_id(id, FIRST_ENDPOINT));
        let sent = scratch::endpoint(FIRST_ENDPOINT, self.overlay).mac_address;
        let observed: Answer = match self.client.endpoint(id) {
            Ok(Endpoint { mac_address, .. }) if mac_address == sent => answer::KEPT.into(),
            Ok(Endpoint { mac_address, .. }) => Answer::with(answer::CHANGED, Some(mac_address)),
            Err(error) => Answer::from(&error),
        };
        self.note(Check::MacAddress, observed);
        Ok(id)
    }

    fn check_load_balancer(&mut self, backends: &[Guid]) -> Result<Guid, CommandError> {
        self.check_shutdown()?;
        let what = "create a load balancer";
        let id = self.create_by(&self.client, LOAD_BALANCER, &self.balancer(1, backends));
        let id = id.map_err(|source| CommandError::ProbeWrite { what, source })?;
        self.note(Check::LoadBalancerId, kept_id(id, LOAD_BALANCER));
        if self.is_v2() {
            let observed: Answer = match self.client.load_balancers(|listed| Some(listed.id)) {
                Ok(ids) if ids.contains(&id) => answer::PRESENT.into(),
                Ok(_) => answer::MISSING.into(),
                Err(error) => Answer::from(&error),
            };
            self.note(Check::V2List, observed);
        }
        let in_v1 = self.client.load_balancers_from_v1_list(|listed| (listed.id == id).then_some(listed.document));
        let observed: Answer = match in_v1.map(|mut found| found.pop().flatten()) {
            Ok(Some(Ok(document))) if is_same_set(document.endpoint_ids(), backends) => answer::SAME.into(),
            Ok(Some(_)) => answer::OTHER_BACKENDS.into(),
            Ok(None) => answer::MISSING.into(),
            Err(error) => Answer::from(&error),
        };
        self.note(Check::V1List, observed);
        let policy_lists = raw::v1_list(&*self.hcn, Kind::LoadBalancer).unwrap_or_default();
        if let Some(document) = policy_lists.iter().find(|document| raw::id_of(document) == Some(id)) {
            self.note(Check::V1State, state(document));
        }
        Ok(id)
    }

    /// Documents that HNS is expected to refuse. What it creates all the same is deleted.
    fn check_refusals(&mut self) -> Result<(), CommandError> {
        let backend = self.create_endpoint(OF_SAME_FRONTEND)?;
        self.check_shutdown()?;
        let created = self.create(SECOND_LOAD_BALANCER, &self.balancer(1, &[backend]));
        self.note_creation(Check::SameFrontend, Kind::LoadBalancer, created);
        let backend = self.create_endpoint(OF_SAME_ID)?;
        self.check_shutdown()?;
        let observed: Answer = match self.create(LOAD_BALANCER, &self.balancer(2, &[backend])) {
            Ok(id) => {
                self.discard(Kind::LoadBalancer, id);
                let is_requested = id == scratch::id(LOAD_BALANCER);
                Answer::from(if is_requested { answer::SUCCEEDS } else { answer::CHOSEN_BY_HNS })
            }
            Err(error) => Answer::from(&error),
        };
        self.note(Check::SameId, observed);
        self.check_shutdown()?;
        let created = self.create(WITHOUT_BACKEND, &self.balancer(3, &[]));
        self.note_creation(Check::NoBackend, Kind::LoadBalancer, created);
        if self.is_v2() {
            let backend = self.create_endpoint(OF_UNKNOWN_MEMBER)?;
            self.check_shutdown()?;
            let mut document = self.balancer(4, &[backend]);
            document.other.insert(UNKNOWN_MEMBER.to_owned(), Value::Bool(true));
            let observed: Answer = match self.create(WITH_UNKNOWN_MEMBER, &document) {
                Ok(id) => {
                    let read = self.client.load_balancer(id);
                    self.discard(Kind::LoadBalancer, id);
                    let is_kept = read.is_ok_and(|document| document.other.contains_key(UNKNOWN_MEMBER));
                    Answer::from(if is_kept { answer::SUCCEEDS } else { answer::MEMBER_DROPPED })
                }
                Err(error) => Answer::from(&error),
            };
            self.note(Check::UnknownMember, observed);
        }
        Ok(())
    }

    /// Returns whether the call succeeded, also without an effect.
    fn check_modification(&mut self, id: Guid, backends: &[Guid]) -> Result<bool, CommandError> {
        self.check_shutdown()?;
        let fewer = backends.get(..1).unwrap_or_default();
        let modified = self.client.modify_load_balancer(id, &self.balancer(1, fewer), true);
        let modifies = modified.is_ok();
        let observed: Answer = match modified {
            Ok(Some(back)) if is_same_set(back.endpoint_ids(), fewer) => answer::SUCCEEDS.into(),
            Ok(_) => answer::NO_EFFECT.into(),
            Err(error) => Answer::from(&error),
        };
        self.note(Check::Modify, observed);
        Ok(modifies)
    }

    /// Returns whether HNS deletes it.
    fn check_deletion(&mut self, id: Guid) -> Result<bool, CommandError> {
        self.check_shutdown()?;
        self.needed.remove(&id);
        let deleted = self.delete(Kind::LoadBalancer, id);
        let result =
            deleted.and_then(|is_first| Ok((is_first, removal::exists(&self.client, Kind::LoadBalancer, id)?)));
        let deletes = matches!(result, Ok((_, false)));
        let observed: Answer = match result {
            Ok((_, true)) => answer::LEFT.into(),
            Ok((true, false)) => answer::SUCCEEDS.into(),
            Ok((false, false)) => answer::SECOND_ATTEMPT.into(),
            Err(error) => Answer::from(&error),
        };
        self.note(Check::Delete, observed);
        let backend = self.create_endpoint(OF_REUSED_ID)?;
        self.check_shutdown()?;
        let observed: Answer = match self.create(LOAD_BALANCER, &self.balancer(1, &[backend])) {
            Ok(id) => {
                self.discard(Kind::LoadBalancer, id);
                kept_id(id, LOAD_BALANCER).into()
            }
            Err(error) => Answer::from(&error),
        };
        self.note(Check::ReusedId, observed);
        Ok(deletes)
    }

    fn check_local_endpoint(&mut self) -> Result<(), CommandError> {
        self.check_shutdown()?;
        let document = scratch::local_endpoint(OTHER_ENDPOINT);
        let created = self.create_in(&self.client, self.network, OTHER_ENDPOINT, &document);
        self.note_creation(Check::OutsideSubnets, Kind::Endpoint, created);
        Ok(())
    }

    /// Requests of the HNS v1 API for objects that do not exist.
    fn check_v1(&mut self) -> Result<(), CommandError> {
        self.check_shutdown()?;
        let document = scratch::endpoint(OTHER_ENDPOINT, self.overlay);
        let created = self.create_in(&self.v1, scratch::absent(), OTHER_ENDPOINT, &document);
        self.note_creation(Check::UnknownNetwork, Kind::Endpoint, created);
        self.check_shutdown()?;
        let path = format!("/endpoints/{}", scratch::absent());
        let observed: Answer = match self.hcn.call(&Call::Hns { method: Method::Delete, path, body: String::new() }) {
            Err(error) => Answer::from(&error),
            Ok(Reply::Document(text)) if is_failure(&text) => answer::IN_ENVELOPE.into(),
            Ok(_) => answer::SUCCEEDS.into(),
        };
        self.note(Check::DeleteUnknownEndpoint, observed);
        Ok(())
    }

    /// Creates, lists, reads, modifies and deletes an endpoint and a load balancer repeatedly. A call that HNS refuses ends the
    /// measurement, and is an answer.
    fn measure(&mut self, stopwatch: &Stopwatch, samples: usize, modifies: bool) -> Result<(), CommandError> {
        let other = self.create_endpoint(MEASURED_ENDPOINT)?;
        let mut observed = Answer::from(answer::SUCCEEDS);
        for _ in 0..samples {
            if stopwatch.total() > MAX_MEASUREMENT {
                break;
            }
            self.check_shutdown()?;
            match self.measure_once(stopwatch, other, modifies) {
                Err(source) if source.class() == Class::Unavailable => {
                    return Err(CommandError::ProbeWrite { what: "measure the calls", source });
                }
                Err(error) => {
                    observed = Answer::from(&error);
                    break;
                }
                Ok(()) => {}
            }
        }
        self.note(Check::Measurement, observed);
        Ok(())
    }

    fn measure_once(&self, stopwatch: &Stopwatch, other: Guid, modifies: bool) -> Result<(), Error> {
        let (client, document) = (&self.client, scratch::endpoint(OTHER_ENDPOINT, self.overlay));
        let endpoint = stopwatch
            .measure("POST /endpoints/", || self.create_in(client, self.network, OTHER_ENDPOINT, &document))?;
        let backends = [endpoint, other];
        let balancer = stopwatch
            .measure("POST /policylists/", || self.create_by(client, LOAD_BALANCER, &self.balancer(1, &backends)))?;
        stopwatch.measure("GET /endpoints/", || client.endpoints(self.network, |_| None::<()>))?;
        stopwatch.measure("GET /policylists/", || client.load_balancers(|_| None::<()>))?;
        if self.is_v2() {
            stopwatch.measure("GET /endpoints/", || client.endpoints_from_v1_list(|_| None::<()>))?;
            stopwatch.measure("GET /policylists/", || client.load_balancers_from_v1_list(|_| None::<()>))?;
        }
        stopwatch.measure("GET /policylists/ID", || client.load_balancer(balancer))?;
        if modifies {
            let fewer = self.balancer(1, &[other]);
            stopwatch.measure("", || client.modify_load_balancer(balancer, &fewer, false))?;
        }
        stopwatch.measure("DELETE /policylists/ID", || self.delete(Kind::LoadBalancer, balancer))?;
        stopwatch.measure("DELETE /endpoints/ID", || self.delete(Kind::Endpoint, endpoint))?;
        Ok(())
    }

    fn create_endpoint(&self, number: u8) -> Result<Guid, CommandError> {
        self.check_shutdown()?;
        let document = scratch::endpoint(number, self.overlay);
        let created = self.create_in(&self.client, self.network, number, &document);
        created.map_err(|source| CommandError::ProbeWrite { what: "create an endpoint", source })
    }

    fn create_in(&self, client: &Client, network: Guid, number: u8, document: &Endpoint) -> Result<Guid, Error> {
        let created = client.create_endpoint(network, scratch::id(number), document);
        created.inspect(|id| self.created.add(Kind::Endpoint, *id))
    }

    /// Creates a load balancer, and returns its id in HNS. Uses a new client: once a client has seen that HNS keeps requested ids, it does not
    /// read created objects.
    fn create(&self, number: u8, document: &LoadBalancer) -> Result<Guid, Error> {
        self.create_by(&Client::new(self.hcn.clone(), self.client.api_version()), number, document)
    }

    fn create_by(&self, client: &Client, number: u8, document: &LoadBalancer) -> Result<Guid, Error> {
        let created = client.create_load_balancer(scratch::id(number), document);
        created.inspect(|id| self.created.add(Kind::LoadBalancer, *id))
    }

    /// Deletes an object. Returns whether the first attempt succeeded.
    fn delete(&self, kind: Kind, id: Guid) -> Result<bool, Error> {
        removal::delete(&self.client, kind, id).inspect(|_| self.created.deleted(kind, id))
    }

    fn balancer(&self, number: u8, backends: &[Guid]) -> LoadBalancer {
        scratch::load_balancer(number, Features::of(self.version).dsr, backends)
    }

    /// Notes whether HNS creates an object that it is expected to refuse, and deletes the object.
    fn note_creation(&mut self, check: Check, kind: Kind, created: Result<Guid, Error>) {
        if let Ok(id) = created {
            self.discard(kind, id);
        }
        self.note(check, created);
    }

    /// Deletes an object that later checks do not need. If that fails, the deletion is retried at the end of the probe.
    fn discard(&self, kind: Kind, id: Guid) {
        // HNS may have returned an existing object instead of rejecting a second one.
        if self.needed.contains(&id) {
            return;
        }
        if let Err(error) = self.delete(kind, id) {
            tracing::warn!(%error, ?kind, %id, "cannot delete an object of the probe; retrying at the end");
        }
    }

    /// # Errors
    /// If a shutdown is requested.
    fn check_shutdown(&self) -> Result<(), CommandError> {
        if (self.is_stopped)() { Err(CommandError::ProbeStopped) } else { Ok(()) }
    }

    fn is_v2(&self) -> bool {
        self.client.api_version() == ApiVersion::V2
    }

    fn note(&mut self, check: Check, observed: impl Into<Answer>) {
        self.findings.push(judge(check, self.version, observed));
    }
}

fn kept_id(id: Guid, number: u8) -> &'static str {
    if id == scratch::id(number) { answer::KEPT } else { answer::CHOSEN_BY_HNS }
}

fn is_same_set(ids: impl Iterator<Item = Guid>, expected: &[Guid]) -> bool {
    ids.collect::<BTreeSet<_>>() == expected.iter().copied().collect()
}

/// Whether a v1 document says that it is programmed.
fn state(document: &Value) -> String {
    let text = |member: &str| document.get(member).map_or_else(|| "missing".to_owned(), Value::to_string);
    format!("State {}, IsApplied {}", text("State"), text("IsApplied"))
}

/// Whether the envelope of a call that succeeded has a failure.
fn is_failure(envelope: &str) -> bool {
    let envelope: Value = serde_json::from_str(envelope).unwrap_or_default();
    envelope.get("Success") == Some(&Value::Bool(false))
}

#[cfg(test)]
mod tests;
