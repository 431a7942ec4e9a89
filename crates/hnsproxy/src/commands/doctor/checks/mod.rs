//! The checks: each is a pure function of what was gathered.

pub(super) mod addresses;
pub(super) mod api_access;
pub(super) mod builds;
pub(super) mod clock;
pub(super) mod configuration;
pub(super) mod credentials;
pub(super) mod dns_answers;
pub(super) mod dsr;
pub(super) mod endpoint_states;
pub(super) mod foreign;
pub(super) mod hns;
pub(super) mod kubernetes_answers;
pub(super) mod management_address;
pub(super) mod networks;
pub(super) mod permissions;
pub(super) mod ports;
pub(super) mod process;
pub(super) mod references;
pub(super) mod services;
pub(super) mod source_vip;

use super::check::Check;

/// All checks: what others depend on comes first.
pub(super) static ALL: &[&Check] = &[
    &hns::CHECK,
    &builds::CHECK,
    &networks::CHECK,
    &management_address::CHECK,
    &endpoint_states::CHECK,
    &addresses::REMOTE_ON_LOCAL,
    &addresses::DUPLICATE,
    &references::CHECK,
    &dsr::CHECK,
    &source_vip::CHECK,
    &foreign::CHECK,
    &process::SECOND_PROXY,
    &services::DNS,
    &dns_answers::CHECK,
    &services::KUBERNETES,
    &kubernetes_answers::CHECK,
    &configuration::CHECK,
    &api_access::CHECK,
    &permissions::CHECK,
    &clock::CHECK,
    &credentials::CHECK,
    &ports::CHECK,
    &process::IN_SYNC,
];
