//! The checks: each is a pure function of what was gathered.

pub(super) mod addresses;
pub(super) mod api_access;
pub(super) mod builds;
pub(super) mod configuration;
pub(super) mod dsr;
pub(super) mod endpoint_states;
pub(super) mod foreign;
pub(super) mod hns;
pub(super) mod management_address;
pub(super) mod networks;
pub(super) mod process;
pub(super) mod references;
pub(super) mod services;
pub(super) mod source_vip;
