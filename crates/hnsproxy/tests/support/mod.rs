//! What the test targets share: they run the program, an emulated HNS and a test API server, and wait on their state.
#![allow(dead_code, reason = "each test target uses a part of it")]

pub(crate) mod cluster;
pub(crate) mod config;
pub(crate) mod hns;
pub(crate) mod http;
pub(crate) mod https;
pub(crate) mod program;
pub(crate) mod recording;
pub(crate) mod running;
pub(crate) mod wait;
