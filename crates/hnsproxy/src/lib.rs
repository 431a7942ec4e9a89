//! The program hnsproxy as a library, so that tests can use its parts.
//!
//! [`cli`] parses the command line, and [`commands`] carry it out. `run` is built by [`app`]: [`config`] and [`environment`] make the settings, [`source`] reads the
//! cluster, [`hns`] opens HNS, [`control_loop`] programs it through a [`session`] of the proxy core, and publishes its [`status`]. [`reporting`]
//! starts what publishes the status on the thread of [`background`]: [`serve`] over HTTP with [`metrics`], [`events`] at the API server.
#![forbid(unsafe_code)]

pub mod app;
pub mod background;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod control_loop;
pub mod duration_argument;
pub mod environment;
pub mod error;
pub mod events;
pub mod file_work;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod history;
pub mod hns;
pub mod host_local;
pub mod http_client;
pub mod instance_lock;
pub mod last_state;
pub mod log;
pub mod metrics;
pub mod mutex;
pub mod output;
pub mod packet;
pub mod panic_hook;
pub mod reporting;
pub mod reservation;
pub mod saved_file;
pub mod screen;
pub mod serve;
pub mod session;
pub mod shutdown;
pub mod source;
pub mod status;
pub mod view;
pub mod vip_probe;
pub mod windows_service;
