//! The packet engine, rule by rule, and compared with a reference engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod world;

mod dsr;
mod explain;
mod flows;
mod forwarding;
mod ipv6;
mod overlay;
mod page;
mod properties;
mod reference;
mod selection;
mod snat;
mod trace;
