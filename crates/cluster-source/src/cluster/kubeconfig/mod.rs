//! Reads a kubeconfig as client-go does: the text of the file, the entries that its current context names, and what of them is used.

mod certificates;
mod error;
mod file;
mod selection;

#[cfg(feature = "fuzzing")]
pub(super) use certificates::authorities;
pub(super) use certificates::client_certificate;
pub(super) use error::KubeconfigError;
#[cfg(feature = "fuzzing")]
pub(super) use file::parse;
pub(super) use file::read;
