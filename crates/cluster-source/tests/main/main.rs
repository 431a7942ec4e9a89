//! List and watch against a scripted API server: what a consumer is told, whatever the server does.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code, helpers included: what is not as it should be ends the test"
)]

mod cluster;
mod list_watch;
mod outages;
