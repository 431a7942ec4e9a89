//! Hosts in network namespaces: connections of the kernel pass the switch.
#![allow(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot run here says why; the kernel has real time"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use hcn::{Guid, Kind};
use hcn_emulator::{Emulator, testing};
use vswitch::assumptions::Gap;
use vswitch::{Assumptions, Node};
use vswitch_lab::tun::{Attached, Driver, check};
use vswitch_lab::{Host, Packets, Place};

use crate::lab::{SERVER_PORT, balancer, ip};

const BOUND: Duration = Duration::from_secs(20);
const VIP: &str = "10.96.0.10:80";

/// Whether this computer permits namespaces. CI must.
fn is_permitted() -> bool {
    match check() {
        Ok(()) => true,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            eprintln!("SKIPPED: {error}");
            false
        }
    }
}

/// A switch that resets connections to a missing load balancer, so that a test need not wait for a timeout.
fn switch(emulator: &Emulator) -> Driver {
    let node = Node { addresses: vec![ip("192.168.77.1")], host_endpoints: Vec::new() };
    let assumptions = Assumptions { gap: Gap::Reset, ..Assumptions::default() };
    Driver::start(node, assumptions, emulator.follow(1000)).unwrap()
}

fn pod(emulator: &Emulator, address: &str) -> Guid {
    emulator.add_local_endpoint(testing::NETWORKS[0], "pod", &[ip(address)])
}

/// Accepts one connection on a host, and says there which client it sees.
fn serve_once(host: &Attached) -> std::thread::JoinHandle<()> {
    let listener = host.namespace().run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, SERVER_PORT))).unwrap().unwrap();
    std::thread::spawn(move || {
        let (mut connection, client) = listener.accept().unwrap();
        connection.write_all(client.ip().to_string().as_bytes()).unwrap();
    })
}

/// Connects from a host, and returns what the server says.
fn ask(host: &Attached, server: &str) -> std::io::Result<String> {
    let server: SocketAddr = server.parse().unwrap();
    let ask = || {
        let mut connection = TcpStream::connect_timeout(&server, BOUND)?;
        connection.set_read_timeout(Some(BOUND))?;
        let mut text = String::new();
        connection.read_to_string(&mut text).map(|_| text)
    };
    host.namespace().run(ask).unwrap()
}

#[test]
fn the_kernel_connects_through_a_load_balancer() {
    if !is_permitted() {
        return;
    }
    let emulator = Emulator::from_host(&testing::host("15.5", &["L2Bridge"])).unwrap();
    let backend = pod(&emulator, "10.244.1.7");
    pod(&emulator, "10.244.1.9");
    let id = emulator.add(Kind::LoadBalancer, balancer("10.96.0.10", &[backend]));
    let driver = switch(&emulator);
    let attach = |address, place| driver.attach(Host::new(ip(address), place, &[])).unwrap();
    let server = attach("10.244.1.7", Place::Pod);
    let clients = [attach("10.244.1.9", Place::Pod), attach("198.51.100.1", Place::Outside)];

    for client in &clients {
        let served = serve_once(&server);
        assert_eq!(ask(client, VIP).unwrap(), client.address().to_string());
        served.join().unwrap();
    }
    let packets = driver.packets();
    assert_eq!(Packets { entered: 0, ..packets.clone() }, Packets::default(), "{packets:?}");
    assert!(packets.entered > 12, "{packets:?}");

    emulator.remove(Kind::LoadBalancer, id);
    let begin = Instant::now();
    let refused = |client| ask(client, VIP).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
    while !refused(&clients[0]) {
        assert!(begin.elapsed() < BOUND, "the load balancer is still there");
        std::thread::yield_now();
    }
    assert!(refused(&clients[1]));
    assert!(driver.take_error().is_none());
}

#[test]
fn computers_outside_of_the_node_do_not_need_the_switch() {
    if !is_permitted() {
        return;
    }
    let emulator = Emulator::from_host(&testing::host("15.5", &["L2Bridge"])).unwrap();
    let driver = switch(&emulator);
    let attach = |address| driver.attach(Host::new(ip(address), Place::Outside, &[])).unwrap();
    let [client, server] = ["198.51.100.1", "198.51.100.2"].map(attach);
    let served = serve_once(&server);
    assert_eq!(ask(&client, "198.51.100.2:8080").unwrap(), "198.51.100.1");
    served.join().unwrap();
    assert_eq!(driver.packets(), Packets::default());
}

#[test]
fn a_feed_that_ends_is_an_error() {
    let emulator = Emulator::from_host(&testing::host("15.5", &["L2Bridge"])).unwrap();
    let feed = emulator.follow(1);
    // More changes than may wait.
    for address in ["10.244.1.7", "10.244.1.8", "10.244.1.9"] {
        pod(&emulator, address);
    }
    let node = Node { addresses: Vec::new(), host_endpoints: Vec::new() };
    let driver = Driver::start(node, Assumptions::default(), feed).unwrap();
    let begin = Instant::now();
    let error = loop {
        if let Some(error) = driver.take_error() {
            break error;
        }
        assert!(begin.elapsed() < BOUND, "timeout waiting for the error of the driver");
        std::thread::yield_now();
    };
    assert_eq!(error.to_string(), "change feed ended: more than 1 changes were waiting; subscribe again");
}
