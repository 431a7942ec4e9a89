//! Finds the objects of probes, and removes them.

use std::collections::{BTreeMap, BTreeSet};

use hcn::client::Listed;
use hcn::schema::v1::PolicyList;
use hcn::schema::{Document, Endpoint, LoadBalancer};
use hcn::{ApiVersion, Class, Client, Error, Guid, Hcn, Kind};
use serde::Deserialize;

use super::created::{Created, Objects};
use super::{raw, scratch};

/// HNS may reject the first attempt to delete a load balancer (seen on Server 2019), or deletions while it is busy.
const MAX_ATTEMPTS: usize = 3;

/// The result of a removal.
#[derive(Default)]
pub(super) struct Removed {
    /// The objects that there were.
    pub(super) found: Objects,
    /// The objects that HNS still has after the last attempt.
    pub(super) left: Objects,
    /// The objects that may be of a probe: they cannot be read.
    pub(super) unread: Objects,
}

/// Removes all objects of probes.
///
/// # Errors
/// If HNS cannot be listed.
pub(super) fn remove(hcn: &dyn Hcn, client: &Client, created: &Created) -> Result<Removed, Error> {
    let mut seen = BTreeSet::new();
    let mut round = 1;
    loop {
        let Found { objects, unread } = match find(hcn, client, created) {
            Err(error) if round < MAX_ATTEMPTS => {
                tracing::warn!(%error, "cannot list the objects of the probe; retrying");
                round += 1;
                continue;
            }
            found => found?,
        };
        // An object that cannot be read may be readable in the next round.
        let is_done = objects.is_empty() && (unread.is_empty() || round >= MAX_ATTEMPTS);
        if is_done || round > MAX_ATTEMPTS {
            return Ok(Removed { found: Objects(seen), left: Objects(objects), unread: Objects(unread) });
        }
        objects.iter().for_each(|(kind, id)| created.add(*kind, *id));
        // Load balancers first: HNS may refuse to delete an endpoint with references. `Kind` has endpoints first.
        for (kind, id) in objects.iter().rev() {
            match delete(client, *kind, *id) {
                Ok(_) => created.deleted(*kind, *id),
                Err(error) => tracing::warn!(%error, ?kind, %id, "cannot delete an object of the probe"),
            }
        }
        seen.extend(objects);
        round += 1;
    }
}

/// Deletes an object. Returns whether the first attempt succeeded.
///
/// # Errors
/// If no attempt succeeds.
pub(super) fn delete(client: &Client, kind: Kind, id: Guid) -> Result<bool, Error> {
    let attempt = || match kind {
        Kind::Endpoint => client.delete_endpoint(id),
        _ => client.delete_load_balancer(id),
    };
    let mut result = attempt();
    let is_first = result.is_ok();
    for _ in 1..MAX_ATTEMPTS {
        if result.is_ok() {
            break;
        }
        result = attempt();
    }
    // An attempt that failed may have deleted it, and builds that fail without a code do not say so.
    if result.is_err() && matches!(exists(client, kind, id), Ok(false)) {
        return Ok(false);
    }
    result.map(|()| is_first)
}

/// Whether HNS has an object.
///
/// # Errors
/// If it cannot be read.
pub(super) fn exists(client: &Client, kind: Kind, id: Guid) -> Result<bool, Error> {
    match read(client, kind, id) {
        Ok(_) => Ok(true),
        Err(error) if error.class() == Class::Absent || Absence::of(client, kind).explains(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// How HNS refuses to read an object that does not exist. It is not known of each version, and some fail without a code.
struct Absence(Option<Error>);

impl Absence {
    fn of(client: &Client, kind: Kind) -> Self {
        Self(read(client, kind, scratch::absent()).err())
    }

    /// Whether an error means that the object does not exist.
    fn explains(&self, error: &Error) -> bool {
        if error.class() == Class::Unavailable {
            return false;
        }
        // Two texts of one HNS are compared: what they say depends on the language of Windows.
        match (&self.0, error) {
            (Some(Error::Envelope { message: absent, .. }), Error::Envelope { message, .. }) => absent == message,
            (Some(absent), error) => error.code().is_some() && absent.code() == error.code(),
            (None, _) => false,
        }
    }
}

/// Whose object it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Probe,
    Foreign,
    /// The members that identify an object of a probe cannot be read.
    Unknown,
}

impl Owner {
    /// Determines the owner by the id or the contents. `members` are the members that identify an object of a probe.
    fn of<T: Document>(id: Guid, document: &T, is_probe: bool, members: &[&str]) -> Self {
        if scratch::is_marked(id) || is_probe {
            return Self::Probe;
        }
        let is_unread = document.unreadable_members().iter().any(|one| members.contains(&one.member.as_str()));
        if is_unread { Self::Unknown } else { Self::Foreign }
    }

    /// `foreign` are endpoints of other programs.
    fn of_load_balancer(id: Guid, document: &LoadBalancer, foreign: &BTreeSet<Guid>) -> Self {
        // The addresses of the v1 API are in its policies, which are the port mappings of v2.
        let members = [
            "FrontendVIPs",
            "Policies",
            "PortMappings",
            "PortMappings.ExternalPort",
            "PortMappings.InternalPort",
            "PortMappings.VIPs",
        ];
        Self::of(id, document, scratch::is_load_balancer(document, foreign), &members)
    }

    fn of_endpoint(id: Guid, document: &Endpoint) -> Self {
        Self::of(id, document, scratch::is_endpoint(document), &["Name"])
    }

    /// The owner of an object whose document cannot be read.
    fn of_unread(id: Guid) -> Self {
        if scratch::is_marked(id) { Self::Probe } else { Self::Unknown }
    }
}

/// The objects that HNS has and that are of probes, or may be.
#[derive(Default)]
struct Found {
    objects: BTreeSet<(Kind, Guid)>,
    unread: BTreeSet<(Kind, Guid)>,
}

impl Found {
    fn add(&mut self, kind: Kind, id: Guid, owner: Owner) {
        match owner {
            Owner::Probe => drop(self.objects.insert((kind, id))),
            Owner::Unknown => drop(self.unread.insert((kind, id))),
            Owner::Foreign => {}
        }
    }
}

/// Finds the objects of probes by the v1 lists, which have contents. Each list may lack objects, and an id that HNS chose has no mark: with the HCN
/// (v2) API, objects that the v1 lists do not show are read, and with both APIs the ids that the probe requests or creations have returned.
fn find(hcn: &dyn Hcn, client: &Client, created: &Created) -> Result<Found, Error> {
    let mut found = Found::default();
    let mut reader = Reader { client, foreign: BTreeSet::new() };
    // Endpoints first: a load balancer on foreign endpoints is foreign.
    for kind in [Kind::Endpoint, Kind::LoadBalancer] {
        let mut owners = reader.listed(hcn, kind)?;
        let requested = scratch::NUMBERS.into_iter().filter(|(of, _)| *of == kind).flat_map(|(_, numbers)| numbers);
        let returned = created.all().filter(|(of, _)| *of == kind).map(|(_, id)| id);
        let own: BTreeSet<Guid> = requested.map(|number| scratch::id(*number)).chain(returned).collect();
        let absence = Absence::of(client, kind);
        for id in own {
            match read(client, kind, id) {
                Ok(_) => drop(owners.insert(id, Owner::Probe)),
                Err(error) if error.class() == Class::Unavailable => return Err(error),
                Err(error) if error.class() == Class::Absent => drop(owners.remove(&id)),
                // A list shows it.
                Err(_) if owners.contains_key(&id) => drop(owners.insert(id, Owner::Probe)),
                Err(error) if absence.explains(&error) => {}
                Err(_) => drop(owners.insert(id, Owner::Unknown)),
            }
        }
        if kind == Kind::Endpoint {
            let foreign = owners.iter().filter(|(_, owner)| **owner == Owner::Foreign);
            reader.foreign = foreign.map(|(id, _)| *id).collect();
        }
        owners.into_iter().for_each(|(id, owner)| found.add(kind, id, owner));
    }
    Ok(found)
}

/// Reads objects, and decides whose they are.
struct Reader<'a> {
    client: &'a Client,
    /// The endpoints of other programs.
    foreign: BTreeSet<Guid>,
}

impl Reader<'_> {
    /// The objects of the lists. Those that the v1 list shows as foreign are not read.
    fn listed(&self, hcn: &dyn Hcn, kind: Kind) -> Result<BTreeMap<Guid, Owner>, Error> {
        let mut owners = match kind {
            Kind::Endpoint => self.endpoints_in_v1()?,
            _ => self.load_balancers_in_v1(hcn)?,
        };
        if self.client.api_version() == ApiVersion::V2 {
            for id in raw::v2_ids(hcn, kind)? {
                owners.entry(id).or_insert(Owner::Unknown);
            }
        }
        let unread = owners.iter().filter(|(_, owner)| **owner != Owner::Foreign).map(|(id, _)| *id);
        for id in unread.collect::<Vec<_>>() {
            match self.read(kind, id) {
                Ok(owner) => drop(owners.insert(id, owner)),
                Err(error) if error.class() == Class::Unavailable => return Err(error),
                // A v1 list may be out of date: the HCN (v2) API decides what exists.
                Err(error) if error.class() == Class::Absent => drop(owners.remove(&id)),
                Err(_) => drop(owners.insert(id, Owner::of_unread(id))),
            }
        }
        Ok(owners)
    }

    /// The load balancers of the v1 list. Policy lists that are routes are another kind of object.
    fn load_balancers_in_v1(&self, hcn: &dyn Hcn) -> Result<BTreeMap<Guid, Owner>, Error> {
        let policy_lists = raw::v1_list(hcn, Kind::LoadBalancer)?;
        let balancers = policy_lists.iter().filter(|document| !raw::is_route(document)).filter_map(|document| {
            let id = raw::id_of(document)?;
            let balancer = PolicyList::deserialize(document).ok().and_then(|list| LoadBalancer::try_from(list).ok());
            let owner = balancer.map(|document| Owner::of_load_balancer(id, &document, &self.foreign));
            Some((id, owner.unwrap_or_else(|| Owner::of_unread(id))))
        });
        Ok(balancers.collect())
    }

    fn endpoints_in_v1(&self) -> Result<BTreeMap<Guid, Owner>, Error> {
        let endpoints = self.client.endpoints_from_v1_list(|Listed { id, document }| {
            let owner = document.and_then(Result::ok).map(|document| match Owner::of_endpoint(id, &document) {
                // The list may lack the name that shows it.
                Owner::Foreign if document.name.is_empty() && scratch::has_address(&document) => Owner::Unknown,
                owner => owner,
            });
            Some((id, owner.unwrap_or_else(|| Owner::of_unread(id))))
        })?;
        Ok(endpoints.into_iter().collect())
    }

    fn read(&self, kind: Kind, id: Guid) -> Result<Owner, Error> {
        Ok(match kind {
            Kind::Endpoint => Owner::of_endpoint(id, &self.client.endpoint(id)?),
            _ => Owner::of_load_balancer(id, &self.client.load_balancer(id)?, &self.foreign),
        })
    }
}

/// Reads an object.
fn read(client: &Client, kind: Kind, id: Guid) -> Result<(), Error> {
    match kind {
        Kind::Endpoint => client.endpoint(id).map(drop),
        _ => client.load_balancer(id).map(drop),
    }
}
