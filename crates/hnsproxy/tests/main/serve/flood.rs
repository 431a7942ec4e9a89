//! Clients that connect and send nothing, or that request pages and do not read the responses.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::write_cluster;
use crate::support::hns::Hns;
use crate::support::http::{get, wait_for_page};
use crate::support::https::{Certificate, CertificateFiles};
use crate::support::program::{free_addresses, from};
use crate::support::recording::cluster_flag;
use crate::support::running::Running;
use crate::support::wait::BOUND;

/// Half of them do not fit into the descriptors of the program.
const CONNECTIONS: usize = 2000;
/// The usual limit of a process on Linux.
const PROGRAM_DESCRIPTORS: &str = "ulimit -n 1024";

/// Connects to an address many times, and sends nothing.
fn flood(address: SocketAddr) -> Vec<TcpStream> {
    let limits = getrlimit(Resource::Nofile);
    let most = limits.maximum.map_or(u64::MAX, |maximum| maximum).min(3 * CONNECTIONS as u64);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limits }).unwrap();
    (0..CONNECTIONS).map(|_| TcpStream::connect_timeout(&address, BOUND).unwrap()).collect()
}

#[test]
fn health_is_answered_while_thousands_of_connections_send_nothing() {
    let hns = Hns::of("boutique-l2bridge");
    let flags = [&cluster_flag("boutique-l2bridge"), &hns.flag()];
    let running = Running::start_after(PROGRAM_DESCRIPTORS, &flags.map(String::as_str));
    running.wait_until_in_sync();
    let _health = flood(running.health);
    assert_eq!(get(running.health, "/healthz").unwrap().code, 200);
    let _metrics = flood(running.metrics);
    assert_eq!(get(running.health, "/livez").unwrap().code, 200);
    let descriptors = running.metrics_page().metric("process_open_fds");
    assert!(descriptors < Some(768.0), "{descriptors:?}");
}

/// Connects to an address many times, and sends the beginning of a TLS handshake.
fn flood_of_handshakes(address: SocketAddr) -> Vec<TcpStream> {
    let mut all = flood(address);
    // The server has closed many of them.
    all.iter_mut().for_each(|stream| drop(stream.write_all(&[0x16, 3, 1, 2])));
    all
}

#[test]
fn health_is_answered_while_thousands_of_handshakes_stay_incomplete() {
    let (directory, hns, certificate) =
        (tempfile::tempdir().unwrap(), Hns::of("boutique-l2bridge"), Certificate::generate());
    let files = CertificateFiles::new(directory.path());
    files.write(&certificate);
    let [certificate_file, key_file] = files.flags("healthz");
    let flags = [&cluster_flag("boutique-l2bridge"), &hns.flag(), &certificate_file, &key_file];
    let running = Running::start_after(PROGRAM_DESCRIPTORS, &flags.map(String::as_str));
    running.wait_until_in_sync();
    let _health = flood_of_handshakes(running.health);
    assert_eq!(certificate.get(running.health, "/healthz").map(|answer| answer.code), Some(200));
    let descriptors = running.metrics_page().metric("process_open_fds");
    assert!(descriptors < Some(768.0), "{descriptors:?}");
}

#[test]
fn the_health_check_of_a_service_is_answered_while_thousands_of_connections_send_nothing() {
    let (directory, hns, [check]) = (tempfile::tempdir().unwrap(), Hns::of("boutique-l2bridge"), free_addresses());
    let file = directory.path().join("cluster.json");
    write_cluster(&file, Some(check.port()), &[(true, "win-1")], "os");
    let flags = [&from(&file), &hns.flag(), "--hostname-override=win-1"];
    let running = Running::start_after(PROGRAM_DESCRIPTORS, &flags);
    wait_for_page(check, "/", |answer| answer.code == 200);
    let _check = flood(check);
    assert_eq!(get(check, "/").unwrap().code, 200);
    assert_eq!(get(running.health, "/healthz").unwrap().code, 200);
}

/// Opens many connections to an address, and requests a page on each. The sockets buffer only a small part of an unread response.
#[cfg(target_os = "linux")]
fn slow_clients(address: SocketAddr, path: &str) -> Vec<TcpStream> {
    let client = || {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(1 << 12).unwrap();
        socket.connect_timeout(&address.into(), BOUND).unwrap();
        let mut stream = TcpStream::from(socket);
        // The server may have closed the connection because of later ones.
        drop(write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        stream
    };
    (0..SLOW_CLIENTS).map(|_| client()).collect()
}

#[cfg(target_os = "linux")]
const SLOW_CLIENTS: usize = 1000;

/// The documented limits are 16 MiB for unread responses and 20 MiB for buffers. The rest is for the connection tasks and the allocator.
#[cfg(target_os = "linux")]
const MAX_GROWTH: u64 = 64 << 20;

#[cfg(target_os = "linux")]
#[test]
fn memory_is_bounded_while_a_thousand_clients_read_no_answer() {
    let (directory, hns) = (tempfile::tempdir().unwrap(), Hns::of("boutique-l2bridge"));
    let state_dir = format!("--state-dir={}", directory.path().display());
    // A history of 1 MiB.
    let text = "x".repeat(180);
    let entry = |sequence| format!(r#"{{"sequence":{sequence},"time":"2026-01-02T03:04:05Z","message":"{text}"}}"#);
    let lines: Vec<String> = (1..=4000).map(entry).collect();
    std::fs::write(directory.path().join("history.jsonl"), lines.join("\n")).unwrap();
    let running = Running::start(&[&cluster_flag("boutique-l2bridge"), &hns.flag(), &state_dir]);
    running.wait_until_in_sync();
    let page = "/debug/history?limit=4096";
    assert!(get(running.metrics, page).unwrap().body.len() > 900_000);
    let before = running.peak_memory();
    let _metrics = slow_clients(running.metrics, page);
    let _health = slow_clients(running.health, "/healthz");
    assert_eq!(get(running.health, "/healthz").unwrap().code, 200);
    assert_eq!(get(running.metrics, "/healthz").unwrap().code, 200);
    assert!(get(running.metrics, page).unwrap().body.len() > 900_000, "a client that reads gets its answer");
    let growth = running.peak_memory() - before;
    assert!(growth < MAX_GROWTH, "{growth} bytes");
}

#[test]
fn a_program_without_free_descriptors_goes_on_to_answer() {
    let hns = Hns::of("boutique-l2bridge");
    let flags = [&cluster_flag("boutique-l2bridge"), &hns.flag()];
    // Fewer than the listeners may have connections.
    let running = Running::start_after("ulimit -n 100", &flags.map(String::as_str));
    running.wait_until_in_sync();
    let held = flood(running.health);
    assert_eq!(get(running.health, "/healthz").unwrap().code, 200);
    drop(held);
    let series = "hnsproxy_http_accept_errors_total{listener=\"healthz\"}";
    assert!(running.metrics_page().metric(series) > Some(0.0));
}
