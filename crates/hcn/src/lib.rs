//! Client of the Windows Host Networking Service (HNS): the HCN (v2) API and the older HNS v1 API.
//!
//! Three layers, each usable alone:
//! - [`call`]: one native call as a value, and the trait [`Hcn`] that makes it. Documents pass through the trait as JSON text, so that
//!   every implementation, an emulator included, goes through encoding, decoding and error records.
//! - [`schema`]: the documents of HCN v2 (schema 2.x) and HNS v1. Unknown members are kept.
//! - [`client`]: typed operations with either API behind one interface.
//!
//! On Windows, the module `windows` makes the calls. It has the only unsafe code.
//!
//! Errors have a [`Class`], which comes from HRESULT codes and never from message texts; see [`error`].
//!
//! # Sources
//! - HCN functions and schema: [HCN API](https://learn.microsoft.com/windows-server/networking/technologies/hcn/hcn-top) and
//!   [HCN JSON documents](https://learn.microsoft.com/windows-server/networking/technologies/hcn/hcn-json-document-schemas).
//! - HNS v1 paths and documents, which Microsoft does not document: [hcsshim](https://github.com/microsoft/hcsshim) and
//!   [hnslib](https://github.com/microsoft/hnslib), the Go clients.
//! - Feature versions: hnslib's `hcn/hcnglobals.go`.
#![cfg_attr(not(windows), forbid(unsafe_code))]
#![deny(missing_docs)]

pub mod call;
pub mod client;
pub mod error;
pub mod features;
pub mod instrumented;
mod kind;
pub mod notification;
pub mod schema;
#[cfg(any(windows, test))]
pub mod windows;

pub use call::{Call, Hcn, Reply};
pub use client::{ApiVersion, Client, UnreadableMember};
pub use error::{Class, Error, Hresult};
pub use features::{Features, Version};
pub use instrumented::{CallInFlight, Counts, FinishedCall, Instrumented, SlowCall};
pub use kind::Kind;
pub use notification::{Event, Notification, Subscription};
#[cfg(windows)]
pub use windows::Windows;

/// The id of an HNS object. Compared as a value, since HNS prints ids in upper or lower case, depending on the API.
pub type Guid = uuid::Uuid;

/// Tests the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
