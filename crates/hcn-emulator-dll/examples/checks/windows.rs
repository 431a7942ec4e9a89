//! The checks, which call the DLLs as Windows programs do.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use hcn::call::{Call, Handle, Method, Reply};
use hcn::{Class, Error, Event, Guid, Hcn, Kind, Subscription, Windows};
use hcn_emulator::Control;
use serde_json::{Value, json};

use crate::usage::Usage;

/// The longest wait for a notification.
const BOUND: Duration = Duration::from_secs(30);
const ENDPOINTS: usize = 10_000;
const BACKENDS: usize = 1024;
const THREADS: usize = 16;
/// What a process may have more in memory after very many calls: a few pages that the allocator has touched for the first time.
const SLACK: usize = 256 << 10;

type Check = Result<String, String>;

/// Runs all checks. Returns the number of failed ones.
pub(super) fn run(calls: usize) -> usize {
    let hcn = Windows::new();
    let checks: [(&str, &dyn Fn() -> Check); 4] = [
        ("many threads", &|| many_threads(&hcn)),
        ("large documents", &|| large_documents(&hcn)),
        ("notifications", &|| notifications(&hcn)),
        ("no growth", &|| no_growth(&hcn, calls)),
    ];
    let mut failed = 0;
    for (name, check) in checks {
        match check() {
            Ok(said) => println!("ok      {name}: {said}"),
            Err(error) => {
                failed += 1;
                println!("FAILED  {name}: {error}");
            }
        }
    }
    println!("{failed} failed");
    failed
}

fn document(hcn: &dyn Hcn, call: &Call) -> Result<String, String> {
    match hcn.call(call) {
        Ok(Reply::Document(document)) => Ok(document),
        Ok(other) => Err(format!("{} answered {other:?}", call.function())),
        Err(error) => Err(error.to_string()),
    }
}

fn create(hcn: &dyn Hcn, kind: Kind, id: Guid, mut settings: Value) -> Result<Handle, String> {
    if let Value::Object(members) = &mut settings {
        members.insert("SchemaVersion".into(), json!({"Major": 2, "Minor": 0}));
    }
    let call = Call::Create { kind, network: None, id, settings: settings.to_string() };
    match hcn.call(&call) {
        Ok(Reply::Handle(handle)) => Ok(handle),
        Ok(other) => Err(format!("{} answered {other:?}", call.function())),
        Err(error) => Err(error.to_string()),
    }
}

fn done(hcn: &dyn Hcn, call: &Call) -> Result<(), String> {
    hcn.call(call).map(drop).map_err(|error| error.to_string())
}

fn ids(hcn: &dyn Hcn, kind: Kind) -> Result<Vec<Guid>, String> {
    let ids = document(hcn, &Call::Enumerate { kind, query: String::new() })?;
    serde_json::from_str(&ids).map_err(|error| error.to_string())
}

/// A namespace made, looked at, closed and deleted.
fn namespace(hcn: &dyn Hcn) -> Result<(), String> {
    let (kind, id) = (Kind::Namespace, Guid::new_v4());
    let handle = create(hcn, kind, id, json!({}))?;
    let seen =
        document(hcn, &Call::Query { kind, handle, query: r#"{"SchemaVersion":{"Major":2,"Minor":0}}"#.into() })?;
    if !seen.contains(&id.to_string()) {
        return Err(format!("the namespace {id} is shown as {seen}"));
    }
    done(hcn, &Call::Close { kind, handle })?;
    done(hcn, &Call::Delete { kind, id })
}

fn many_threads(hcn: &Windows) -> Check {
    const TURNS: usize = 50;
    let results: Vec<Result<(), String>> = thread::scope(|scope| {
        let work = || (0..TURNS).try_for_each(|_| namespace(hcn));
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a panic".to_owned()).and_then(|done| done))
            .collect()
    });
    results.into_iter().collect::<Result<(), _>>()?;
    match ids(hcn, Kind::Namespace)?.len() {
        0 => Ok(format!("{THREADS} of them, {TURNS} namespaces each")),
        left => Err(format!("{left} namespaces are left")),
    }
}

fn large_documents(hcn: &Windows) -> Check {
    let endpoints = ids(hcn, Kind::Endpoint)?;
    if endpoints.len() != ENDPOINTS {
        return Err(format!("{} endpoints are listed", endpoints.len()));
    }
    let list = Call::Hns { method: Method::Get, path: "/endpoints/".into(), body: String::new() };
    let list = document(hcn, &list)?;
    let documents: Value = serde_json::from_str(&list).map_err(|error| error.to_string())?;
    let listed = documents.pointer("/Output").and_then(Value::as_array).map_or(0, Vec::len);
    if listed != ENDPOINTS {
        return Err(format!("the HNS v1 API lists {listed} endpoints"));
    }
    let (kind, id) = (Kind::LoadBalancer, Guid::new_v4());
    let backends = endpoints.get(..BACKENDS).unwrap_or_default();
    let settings = json!({
        "HostComputeEndpoints": backends,
        "FrontendVIPs": ["10.96.0.1"],
        "PortMappings": [{"Protocol": 6, "InternalPort": 80, "ExternalPort": 80}],
    });
    let handle = create(hcn, kind, id, settings)?;
    let seen =
        document(hcn, &Call::Query { kind, handle, query: r#"{"SchemaVersion":{"Major":2,"Minor":0}}"#.into() })?;
    let seen: Value = serde_json::from_str(&seen).map_err(|error| error.to_string())?;
    let shown = seen.get("HostComputeEndpoints").cloned().unwrap_or_default();
    let shown: Vec<Guid> = serde_json::from_value(shown).map_err(|error| error.to_string())?;
    if shown != backends {
        return Err(format!("{} of {BACKENDS} backends came back", shown.len()));
    }
    done(hcn, &Call::Close { kind, handle })?;
    done(hcn, &Call::Delete { kind, id })?;
    Ok(format!("{ENDPOINTS} endpoints in {} KB, {BACKENDS} backends", list.len() / 1024))
}

fn listen(hcn: &dyn Hcn) -> Result<(Subscription, Receiver<Event>), Error> {
    let (sender, receiver) = channel();
    let listener = Box::new(move |told: hcn::Notification| {
        let _ = sender.send(told.event);
    });
    Ok((hcn.subscribe(listener)?, receiver))
}

fn expect(told: &Receiver<Event>, expected: &[Event]) -> Result<(), String> {
    for expected in expected {
        match told.recv_timeout(BOUND) {
            Ok(event) if event == *expected => {}
            other => return Err(format!("{other:?} where {expected:?} should be")),
        }
    }
    Ok(())
}

fn notifications(hcn: &Windows) -> Check {
    let address = std::env::var("HNS_EMULATOR").map_err(|error| error.to_string())?;
    let control = Control::connect_lazily(address);
    let refused = |error: Error| error.to_string();
    let unasked = |error: hcn_emulator::control::ControlError| error.to_string();
    let (subscription, told) = listen(hcn).map_err(refused)?;
    let (_other, others) = listen(hcn).map_err(refused)?;
    namespace(hcn)?;
    expect(&told, &[Event::NamespaceCreate, Event::NamespaceDelete])?;
    drop(subscription);
    if told.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
        return Err("a subscription that has ended has a listener".into());
    }
    control.stop(&[]).map_err(unasked)?;
    expect(&others, &[Event::NamespaceCreate, Event::NamespaceDelete, Event::ServiceDisconnect])?;
    let down = hcn.subscribe(Box::new(|_| ())).map(drop);
    control.start().map_err(unasked)?;
    if down.as_ref().map_err(Error::class) != Err(Class::Unavailable) {
        return Err(format!("a subscription while HNS is down: {down:?}"));
    }
    let (_again, again) = listen(hcn).map_err(refused)?;
    namespace(hcn)?;
    expect(&again, &[Event::NamespaceCreate, Event::NamespaceDelete])?;
    match others.recv_timeout(Duration::ZERO) {
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok("until unregistered, or HNS ends".into()),
        Ok(event) => Err(format!("{event:?} by a subscription that HNS has ended")),
    }
}

/// One of each: looks, writes, failures with a record, and now and then a subscription.
fn mixed(hcn: &Windows, turn: usize) -> Result<usize, String> {
    namespace(hcn)?;
    ids(hcn, Kind::Namespace)?;
    document(hcn, &Call::Hns { method: Method::Get, path: "/globals/version".into(), body: String::new() })?;
    let absent = Call::Open { kind: Kind::Endpoint, id: Guid::from_u128(1) };
    if hcn.call(&absent).is_ok() {
        return Err("an endpoint is there that nobody made".into());
    }
    if turn.is_multiple_of(100) {
        let (subscription, told) = listen(hcn).map_err(|error| error.to_string())?;
        namespace(hcn)?;
        expect(&told, &[Event::NamespaceCreate])?;
        drop(subscription);
    }
    // Closing a handle goes through the DLL too.
    Ok(7)
}

fn no_growth(hcn: &Windows, calls: usize) -> Check {
    let work = |calls: usize| -> Result<(), String> {
        let (mut made, mut turn) = (0, 0);
        while made < calls {
            made += mixed(hcn, turn)?;
            turn += 1;
        }
        Ok(())
    };
    work(calls / 10)?;
    let before = settled();
    work(calls)?;
    let after = settled();
    let said = format!("{before} before {calls} calls, {after} after");
    let grown = after.handles > before.handles
        || after.next_handle > before.next_handle
        || after.files > before.files
        || after.working_set > before.working_set + SLACK;
    if grown { Err(said) } else { Ok(said) }
}

/// What is used once threads of ended subscriptions are gone: the least of what is seen within a bound.
fn settled() -> Usage {
    let mut least = Usage::now();
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(50));
        let now = Usage::now();
        least.handles = least.handles.min(now.handles);
        least.next_handle = least.next_handle.min(now.next_handle);
        least.files = least.files.min(now.files);
        least.working_set = least.working_set.min(now.working_set);
    }
    least
}
