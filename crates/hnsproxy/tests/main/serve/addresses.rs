//! Addresses that another program has.

use std::net::TcpListener;

use crate::support::hns::Hns;
use crate::support::http::wait_for_page;
use crate::support::program::{free_addresses, hnsproxy};
use crate::support::recording::cluster_flag;
use crate::support::running::Running;

#[test]
fn a_taken_address_is_retried_while_hns_is_programmed() {
    let (hns, [health, metrics]) = (Hns::of("boutique-l2bridge"), free_addresses());
    let taken = TcpListener::bind(health).unwrap();
    let running = Running::start_at(health, metrics, &[&cluster_flag("boutique-l2bridge"), &hns.flag()]);
    running.wait_until_in_sync();
    drop(taken);
    wait_for_page(health, "/healthz", |answer| answer.code == 200);
}

#[test]
fn a_taken_address_ends_the_program_with_bind_address_hard_fail() {
    let (hns, [health, metrics]) = (Hns::of("boutique-l2bridge"), free_addresses());
    let _taken = TcpListener::bind(health).unwrap();
    let addresses = [format!("--healthz-bind-address={health}"), format!("--metrics-bind-address={metrics}")];
    let [health, metrics] = &addresses;
    let flags = [&cluster_flag("boutique-l2bridge"), &hns.flag(), health, metrics, "--bind-address-hard-fail"];
    hnsproxy(&flags).expect(1);
}
