//! Confirms that objects which a list lacks are absent, before they are removed from the observed state.
//!
//! A list that succeeds can still lack objects. If objects that serve are missing in it, HNS is asked for each of them by
//! id. If many are missing, as after a restart of HNS, the list is read again, and HNS is asked for a few.

use hcn::client::Listed;
use hcn::{Client, Error, Guid, Kind};
use rustc_hash::FxHashSet;

use super::lists::ListedEndpoint;
use super::read::readable_or_absent;
use super::{Observed, ObservedLoadBalancer, Owner};

/// If at most this many objects are missing, each is read on its own: one call for each that is absent.
const READ_EACH: usize = 16;
/// The number of objects that are read if more are missing. After a restart of HNS thousands can be missing, and the
/// first repair must not wait for long. If a list lacks only half of them by mistake, 255 of 256 samples show it.
const READ_SAMPLE: usize = 8;

/// What HNS says of an object that is missing in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Exists,
    Absent,
    /// HNS reports a failure without a code, as older builds do for an absent object of the HNS v1 API.
    Unknown,
}

impl Observed {
    /// Adds known endpoints to a list that lacks them, if HNS has them or it is not certain that it does not. Only
    /// endpoints with a load balancer are checked: the others serve nobody. Endpoints of other networks than these
    /// were deleted with their network.
    ///
    /// # Errors
    /// The error of HNS, if a call fails.
    pub fn confirm_absent_endpoints(
        &mut self,
        client: &Client,
        networks: &[Guid],
        listed: &mut Vec<ListedEndpoint>,
        list_again: impl FnOnce() -> Result<Vec<ListedEndpoint>, Error>,
    ) -> Result<(), Error> {
        let present: FxHashSet<Guid> = listed.iter().map(|(_, listed)| listed.id).collect();
        let serving = self.endpoints.iter().filter(|(id, endpoint)| {
            !present.contains(id) && self.is_referenced(**id) && networks.contains(&endpoint.network)
        });
        let missing = serving.map(|(id, _)| *id).collect();
        let list_again = || Ok(list_again()?.into_iter().map(|(_, listed)| listed.id).collect());
        let kept = self.confirm(Kind::Endpoint, missing, |id| client.endpoint(id).map(drop), list_again)?;
        let known = kept.into_iter().filter_map(|id| Some((self.endpoints.get(&id)?.network, id)));
        listed.extend(known.map(|(network, id)| (network, Listed { id, document: None })));
        Ok(())
    }

    /// As [`confirm_absent_endpoints`](Self::confirm_absent_endpoints), for our load balancers.
    ///
    /// # Errors
    /// The error of HNS, if a call fails.
    pub(super) fn confirm_absent_load_balancers(
        &mut self,
        client: &Client,
        listed: &mut Vec<Listed<ObservedLoadBalancer>>,
    ) -> Result<(), Error> {
        let present: FxHashSet<Guid> = listed.iter().map(|listed| listed.id).collect();
        // Foreign ones are not confirmed: if one still exists, HNS refuses the one that is created in its place.
        let ours = self.load_balancers.iter().filter(|(id, known)| !present.contains(id) && known.owner == Owner::Us);
        let missing = ours.map(|(id, _)| *id).collect();
        let list_again = || Ok(client.load_balancers(|listed| Some(listed.id))?.into_iter().collect());
        let kept = self.confirm(Kind::LoadBalancer, missing, |id| client.load_balancer(id).map(drop), list_again)?;
        listed.extend(kept.into_iter().map(|id| Listed { id, document: None }));
        Ok(())
    }

    /// The kinds whose last list lacked objects that HNS has.
    pub fn incomplete_lists(&self) -> impl Iterator<Item = Kind> {
        self.incomplete_lists.iter().copied()
    }

    /// Those of the missing objects that are not certain to be absent.
    fn confirm(
        &mut self,
        kind: Kind,
        mut missing: Vec<Guid>,
        read: impl Fn(Guid) -> Result<(), Error>,
        list_again: impl FnOnce() -> Result<FxHashSet<Guid>, Error>,
    ) -> Result<Vec<Guid>, Error> {
        missing.sort_unstable();
        let mut kept = Vec::new();
        let mut list_again = Some(list_again);
        let mut keep_listed = |missing: &mut Vec<Guid>, kept: &mut Vec<Guid>| {
            let Some(again) = list_again.take().map(|list| list()).transpose()? else { return Ok::<_, Error>(()) };
            kept.extend(missing.extract_if(.., |id| again.contains(id)));
            Ok(())
        };
        let many = missing.len() > READ_EACH;
        if many {
            keep_listed(&mut missing, &mut kept)?;
        }
        let step = if many { missing.len().div_ceil(READ_SAMPLE).max(1) } else { 1 };
        let mut answers = Vec::new();
        for id in missing.iter().step_by(step) {
            answers.push((*id, answer(read(*id))?));
        }
        let exists: FxHashSet<Guid> =
            answers.iter().filter(|(_, answer)| *answer == Answer::Exists).map(|(id, _)| *id).collect();
        let contradicted = !exists.is_empty();
        if contradicted {
            self.incomplete_lists.insert(kind);
        } else {
            self.incomplete_lists.remove(&kind);
        }
        if contradicted && many {
            // The list is wrong: it says nothing about the objects that were not read.
            let absent: FxHashSet<Guid> =
                answers.iter().filter(|(_, answer)| *answer == Answer::Absent).map(|(id, _)| *id).collect();
            kept.extend(missing.into_iter().filter(|id| !absent.contains(id)));
            return Ok(kept);
        }
        kept.extend(missing.extract_if(.., |id| exists.contains(id)));
        if answers.iter().any(|(_, answer)| *answer == Answer::Unknown) {
            // A second list is the only other source.
            keep_listed(&mut missing, &mut kept)?;
        }
        Ok(kept)
    }
}

fn answer(result: Result<(), Error>) -> Result<Answer, Error> {
    match readable_or_absent(result) {
        Ok(Some(_)) => Ok(Answer::Exists),
        Ok(None) => Ok(Answer::Absent),
        Err(Error::Envelope { .. }) => Ok(Answer::Unknown),
        Err(error) => Err(error),
    }
}
