//! Classifies the result of reading one object: its document, absent, or an error.

use hcn::{Class, Error};

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
