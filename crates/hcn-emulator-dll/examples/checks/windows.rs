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
/// How much the memory of a process may grow, in bytes: the allocator touches a few pages for the first time.
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
            Ok(result) => println!("ok      {name}: {result}"),
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
        Ok(other) => Err(format!("unexpected reply of {}: {other:?}", call.function())),
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
        Ok(other) => Err(format!("unexpected reply of {}: {other:?}", call.function())),
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

/// Creates, queries, closes and deletes a namespace.
fn namespace(hcn: &dyn Hcn) -> Result<(), String> {
    let (kind, id) = (Kind::Namespace, Guid::new_v4());
    let handle = create(hcn, kind, id, json!({}))?;
    let observed =
        document(hcn, &Call::Query { kind, handle, query: r#"{"SchemaVersion":{"Major":2,"Minor":0}}"#.into() })?;
    if !observed.contains(&id.to_string()) {
        return Err(format!("namespace {id}: missing in its document {observed}"));
    }
    done(hcn, &Call::Close { kind, handle })?;
    done(hcn, &Call::Delete { kind, id })
}

fn many_threads(hcn: &Windows) -> Check {
    const ROUNDS: usize = 50;
    let results: Vec<Result<(), String>> = thread::scope(|scope| {
        let work = || (0..ROUNDS).try_for_each(|_| namespace(hcn));
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked".to_owned()).and_then(|done| done))
            .collect()
    });
    results.into_iter().collect::<Result<(), _>>()?;
    match ids(hcn, Kind::Namespace)?.len() {
        0 => Ok(format!("{THREADS} threads with {ROUNDS} namespaces each")),
        left => Err(format!("{left} namespaces were not deleted")),
    }
}

fn large_documents(hcn: &Windows) -> Check {
    let endpoints = ids(hcn, Kind::Endpoint)?;
    if endpoints.len() != ENDPOINTS {
        return Err(format!("HCN API: {} endpoints, expected {ENDPOINTS}", endpoints.len()));
    }
    let list = Call::Hns { method: Method::Get, path: "/endpoints/".into(), body: String::new() };
    let list = document(hcn, &list)?;
    let documents: Value = serde_json::from_str(&list).map_err(|error| error.to_string())?;
    let listed = documents.pointer("/Output").and_then(Value::as_array).map_or(0, Vec::len);
    if listed != ENDPOINTS {
        return Err(format!("HNS v1 API: {listed} endpoints, expected {ENDPOINTS}"));
    }
    let (kind, id) = (Kind::LoadBalancer, Guid::new_v4());
    let backends = endpoints.get(..BACKENDS).unwrap_or_default();
    let settings = json!({
        "HostComputeEndpoints": backends,
        "FrontendVIPs": ["10.96.0.1"],
        "PortMappings": [{"Protocol": 6, "InternalPort": 80, "ExternalPort": 80}],
    });
    let handle = create(hcn, kind, id, settings)?;
    let observed =
        document(hcn, &Call::Query { kind, handle, query: r#"{"SchemaVersion":{"Major":2,"Minor":0}}"#.into() })?;
    let observed: Value = serde_json::from_str(&observed).map_err(|error| error.to_string())?;
    let actual = observed.get("HostComputeEndpoints").cloned().unwrap_or_default();
    let actual: Vec<Guid> = serde_json::from_value(actual).map_err(|error| error.to_string())?;
    if actual != backends {
        return Err(format!("load balancer {id}: {} backends, expected {BACKENDS}", actual.len()));
    }
    done(hcn, &Call::Close { kind, handle })?;
    done(hcn, &Call::Delete { kind, id })?;
    Ok(format!("{ENDPOINTS} endpoints in {} KB, {BACKENDS} backends", list.len() / 1024))
}

fn listen(hcn: &dyn Hcn) -> Result<(Subscription, Receiver<Event>), Error> {
    let (sender, receiver) = channel();
    let listener = Box::new(move |notification: hcn::Notification| {
        let _ = sender.send(notification.event);
    });
    Ok((hcn.subscribe(listener)?, receiver))
}

fn expect(events: &Receiver<Event>, expected: &[Event]) -> Result<(), String> {
    for expected in expected {
        match events.recv_timeout(BOUND) {
            Ok(event) if event == *expected => {}
            other => return Err(format!("received {other:?}, expected {expected:?}")),
        }
    }
    Ok(())
}

fn notifications(hcn: &Windows) -> Check {
    let address = std::env::var("HNS_EMULATOR").map_err(|error| error.to_string())?;
    let control = Control::connect_lazily(address);
    let call_error = |error: Error| error.to_string();
    let control_error = |error: hcn_emulator::control::ControlError| error.to_string();
    let (subscription, events) = listen(hcn).map_err(call_error)?;
    let (_other, others) = listen(hcn).map_err(call_error)?;
    namespace(hcn)?;
    expect(&events, &[Event::NamespaceCreate, Event::NamespaceDelete])?;
    drop(subscription);
    if events.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
        return Err("an ended subscription still has its listener".into());
    }
    control.stop(&[]).map_err(control_error)?;
    expect(&others, &[Event::NamespaceCreate, Event::NamespaceDelete, Event::ServiceDisconnect])?;
    let down = hcn.subscribe(Box::new(|_| ())).map(drop);
    control.start().map_err(control_error)?;
    if down.as_ref().map_err(Error::class) != Err(Class::Unavailable) {
        return Err(format!("subscribed while HNS is down: {down:?}"));
    }
    let (_again, again) = listen(hcn).map_err(call_error)?;
    namespace(hcn)?;
    expect(&again, &[Event::NamespaceCreate, Event::NamespaceDelete])?;
    match others.recv_timeout(Duration::ZERO) {
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            Ok("delivered until the end of the subscription or of HNS".into())
        }
        Ok(event) => Err(format!("received {event:?} after HNS ended the subscription")),
    }
}

/// Reads, writes, a failure with a record, and in every 100th round a subscription. Returns the number of calls.
fn mixed(hcn: &Windows, round: usize) -> Result<usize, String> {
    namespace(hcn)?;
    ids(hcn, Kind::Namespace)?;
    document(hcn, &Call::Hns { method: Method::Get, path: "/globals/version".into(), body: String::new() })?;
    let absent = Call::Open { kind: Kind::Endpoint, id: Guid::from_u128(1) };
    if hcn.call(&absent).is_ok() {
        return Err("HcnOpenEndpoint succeeded for an unknown id".into());
    }
    if round.is_multiple_of(100) {
        let (subscription, events) = listen(hcn).map_err(|error| error.to_string())?;
        namespace(hcn)?;
        expect(&events, &[Event::NamespaceCreate])?;
        drop(subscription);
    }
    // Closing a handle goes through the DLL too.
    Ok(7)
}

fn no_growth(hcn: &Windows, calls: usize) -> Check {
    let work = |calls: usize| -> Result<(), String> {
        let (mut made, mut round) = (0, 0);
        while made < calls {
            made += mixed(hcn, round)?;
            round += 1;
        }
        Ok(())
    };
    work(calls / 10)?;
    let before = settled();
    work(calls)?;
    let after = settled();
    let result = format!("{before} before {calls} calls, {after} after");
    let grown = after.handles > before.handles
        || after.next_handle > before.next_handle
        || after.files > before.files
        || after.working_set > before.working_set + SLACK;
    if grown { Err(result) } else { Ok(result) }
}

/// The lowest usage within one second, in which the threads of ended subscriptions end.
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
