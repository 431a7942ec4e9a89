//! Tests of the server with a minimal client, byte by byte, and with kube-rs.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test code, helpers included: what is not as it should be ends the test"
)]

mod client;
mod fault_modes;
mod kube_rs;
mod lists;
mod watches;
mod wrong_answers;
