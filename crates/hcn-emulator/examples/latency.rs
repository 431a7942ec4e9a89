//! Measures native calls and, for comparison, round trips over TCP: `latency CALLS [HOST:PORT]`.
//!
//! Without an address it calls the DLLs of Windows. The round trips have the size of a small call and go to the echo server at the address
//! in `ECHO`; without `ECHO` they are left out. Prints one JSON object per line.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods, reason = "a program for a terminal")]

mod system;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hcn::call::{Call, Handle, Method, Reply};
use hcn::{Error, Guid, Hcn, Kind};
use serde_json::json;

fn say(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    let line = json!({"what": what, "calls": times.len(), "median_us": at(50), "p99_us": at(99)});
    println!("{line}");
}

fn measure<E>(calls: usize, mut call: impl FnMut() -> Result<(), E>) -> Result<Vec<Duration>, E> {
    (0..calls)
        .map(|_| {
            let start = Instant::now();
            call().map(|()| start.elapsed())
        })
        .collect()
}

fn bare(calls: usize, address: &str) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut bytes = [0; 128];
    measure(calls, || {
        stream.write_all(&bytes)?;
        stream.read_exact(&mut bytes)
    })
}

fn open(hcn: &dyn Hcn) -> Result<Handle, Error> {
    let settings = r#"{"SchemaVersion":{"Major":2,"Minor":0}}"#.into();
    let create = Call::Create { kind: Kind::Namespace, network: None, id: Guid::nil(), settings };
    match hcn.call(&create)? {
        Reply::Handle(handle) => Ok(handle),
        _ => Err(Error::Document { function: create.function(), reason: "expected a handle".into() }),
    }
}

fn native(hcn: &dyn Hcn, calls: usize) -> Result<(), Error> {
    let version = Call::Hns { method: Method::Get, path: "/globals/version".into(), body: String::new() };
    say("HNSCall", measure(calls, || hcn.call(&version).map(drop))?);
    let handle = open(hcn)?;
    let query = Call::Query { kind: Kind::Namespace, handle, query: String::new() };
    say(query.function(), measure(calls, || hcn.call(&query).map(drop))?);
    hcn.call(&Call::Close { kind: Kind::Namespace, handle }).map(drop)
}

fn run() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let calls = arguments.next().and_then(|text| text.parse().ok()).ok_or("usage: latency CALLS [HOST:PORT]")?;
    let hcn = system::hns(arguments.next())?;
    if let Ok(address) = std::env::var("ECHO") {
        say("bare round trip over TCP", bare(calls, &address).map_err(|error| error.to_string())?);
    }
    native(&*hcn, calls).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
