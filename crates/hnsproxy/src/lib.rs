//! The program hnsproxy, as a library: everything between the proxy core and the world.
//!
//! [`cli`] says what was asked for, [`config`] what that means with kube-proxy's flags and file, [`ask`] asks a running process, [`source`]
//! reads the cluster, [`hns`] opens HNS, [`session`] drives the core, [`status`] is
//! what all may read of it, [`serve`] answers with it over HTTP, [`metrics`] tells
//! Prometheus, [`events`] the API server, from the thread of [`background`], [`view`] shows results, [`commands`] puts them together.
#![forbid(unsafe_code)]

pub mod app;
pub mod ask;
pub mod background;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod control_loop;
#[cfg(test)]
mod documentation;
pub mod duration_argument;
pub mod environment;
pub mod error;
pub mod events;
pub mod hns;
pub mod log;
pub mod metrics;
pub mod output;
pub mod reporting;
pub mod serve;
pub mod session;
pub mod shutdown;
pub mod source;
pub mod status;
pub mod view;
pub mod windows_service;
