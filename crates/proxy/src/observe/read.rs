//! Reads of single objects: the class of the result, and how many an audit makes before it pauses.

use hcn::{Class, Error, Guid};

use crate::identity;

/// How many objects may still be read before pending changes are programmed, of those whose reads can wait. HNS can have thousands of foreign
/// ones that hnsproxy has not read, for example after another Service proxy was started. All objects from a v1 list are read again if the list is
/// found wrong. Each costs up to two calls.
#[derive(Debug, Clone, Copy)]
pub struct DeferrableReads(usize);

impl DeferrableReads {
    pub const UNLIMITED: Self = Self(usize::MAX);
    /// In a step of an audit. At 2 ms for a call, a change waits for half a second.
    pub const STEP: Self = Self(128);

    /// Whether an object may be read. Unknown ones of ours always may: until they are read, they would be created again.
    pub(super) fn take(&mut self, id: Guid, is_known: bool) -> bool {
        if !can_wait(id, is_known) {
            return true;
        }
        let any_left = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        any_left
    }

    /// The object is absent. It does not count: the next list would have it again, and an audit would never end.
    pub(super) fn restore(&mut self, id: Guid, is_known: bool) {
        if can_wait(id, is_known) {
            self.0 = self.0.saturating_add(1);
        }
    }
}

fn can_wait(id: Guid, is_known: bool) -> bool {
    is_known || !identity::is_ours(id)
}

/// Whether all objects of a list are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    All,
    /// Some whose reads can wait are still to be read. The next list continues.
    Part,
}

/// The result of reading one object: its document, `None` if it has vanished, or why the document is invalid. Only other errors
/// end an audit.
pub(super) fn readable_or_absent<T>(result: Result<T, Error>) -> Result<Option<Result<T, String>>, Error> {
    match result {
        Ok(document) => Ok(Some(Ok(document))),
        // One invalid document must not stop the audit of all other objects.
        Err(Error::Document { reason, .. }) => Ok(Some(Err(reason))),
        Err(error) if error.class() == Class::Absent => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use hcn::Hresult;

    use super::*;

    #[test]
    fn only_an_absent_object_is_read_as_absent() {
        let of = |code| readable_or_absent::<()>(Err(Error::hns("HcnOpenLoadBalancer", code)));
        assert_eq!(readable_or_absent(Ok(1)), Ok(Some(Ok(1))));
        assert_eq!(of(Hresult::ELEMENT_NOT_FOUND), Ok(None));
        let others = [
            Hresult::RPC_S_SERVER_UNAVAILABLE,
            Hresult::ERROR_TIMEOUT,
            Hresult::E_ACCESSDENIED,
            Hresult::E_NOTIMPL,
            Hresult::E_INVALIDARG,
            Hresult::ERROR_ALREADY_EXISTS,
        ];
        for code in others {
            assert_eq!(of(code), Err(Error::hns("HcnOpenLoadBalancer", code)));
        }
        let invalid = Error::Document { function: "HcnQueryLoadBalancerProperties", reason: "no".to_owned() };
        assert_eq!(readable_or_absent::<()>(Err(invalid)), Ok(Some(Err("no".to_owned()))));
    }
}
