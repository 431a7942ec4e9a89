//! The Windows Host Compute Network (HCN) interface and the older Host Networking Service (HNS) calls.
//!
//! Three layers, each usable alone:
//! - [`call`]: what one native call is, as values, and the one-method trait [`Hcn`] that carries it out. Documents cross this
//!   seam as JSON text, so that every implementation, emulated ones included, exercises encoding, decoding and error records.
//! - [`schema`]: the documents of HCN v2 (schema 2.x) and HNS v1. What we do not know of a document is kept.
//! - [`client`]: typed operations of both generations behind one interface.
//!
//! On Windows, `windows` carries the calls out; it has the only unsafe code.
//!
//! Errors carry a [`Class`] that comes from codes, never from texts; see [`error`].
#![deny(missing_docs)]
#![cfg_attr(not(windows), forbid(unsafe_code))]

pub mod call;
pub mod client;
pub mod counting;
pub mod error;
pub mod features;
pub mod metered;
pub mod notification;
pub mod schema;
pub mod timed;
#[cfg(any(windows, test))]
pub mod windows;

pub use call::{Call, Hcn, Kind, Reply};
pub use client::{Client, Generation};
pub use counting::{Counting, Counts};
pub use error::{Class, Error, Hresult};
pub use features::{Features, Version};
pub use metered::{Metered, MeteredCall};
pub use notification::{Event, Notification, Subscription};
pub use timed::{SlowCall, Timed};
#[cfg(windows)]
pub use windows::Windows;

/// The id of an HNS object. Compared as a value: HNS prints ids in either case, depending on the path taken.
pub type Guid = uuid::Uuid;
