//! List and watch against a test API server: the changes that a consumer receives, whatever the server does.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code, helpers included: an unexpected value ends the test"
)]

mod cluster;
mod list_watch;
mod outages;
mod wrong_answers;
