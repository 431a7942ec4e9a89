//! The service of the emulator: guarantees for its clients, and robustness against invalid ones.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hcn::call::{Call, Handle, Method, Reply};
use hcn::{Class, Error, Guid, Hcn, Hresult, Kind};
use hcn_emulator::builds::Options;
use hcn_emulator::conformance;
use hcn_emulator::control::ControlError;
use hcn_emulator::faults::{Effect, Fault, Which};
use hcn_emulator::service::Running;
use hcn_emulator::{Build, Control, Emulator, Host, Quirks, Remote, Service};
use hcn_survey::Survey;
use serde_json::{Value, json};

/// The longest wait of a test.
const BOUND: Duration = Duration::from_secs(20);

fn emulator() -> Arc<Emulator> {
    Arc::new(Emulator::new("latest".parse::<Build>().unwrap()))
}

fn serve(emulator: &Arc<Emulator>) -> Running {
    Service::bind("127.0.0.1:0", emulator.clone()).unwrap().spawn().unwrap()
}

fn remote(service: &Running) -> Remote {
    Remote::connect_lazily(service.address().to_string())
}

fn control(service: &Running) -> Control {
    Control::connect_lazily(service.address().to_string())
}

fn version() -> Call {
    Call::Hns { method: Method::Get, path: "/globals/version".into(), body: String::new() }
}

fn enumerate(kind: Kind) -> Call {
    Call::Enumerate { kind, query: String::new() }
}

fn create_namespace() -> Call {
    let settings = r#"{"SchemaVersion":{"Major":2,"Minor":0}}"#.into();
    Call::Create { kind: Kind::Namespace, network: None, id: Guid::nil(), settings }
}

fn handle(result: Result<Reply, Error>) -> Handle {
    let Ok(Reply::Handle(handle)) = result else { panic!("{result:?}") };
    handle
}

/// Waits until a condition holds.
fn until(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < BOUND, "timeout waiting for {what}");
        thread::yield_now();
    }
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
    frame.extend(body);
    frame
}

fn hello(client: Guid) -> Vec<u8> {
    frame(json!({"Hello": {"protocol": 1, "client": client}}).to_string().as_bytes())
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream
}

/// An address without a listener.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn every_build_has_the_same_survey_over_tcp() {
    for build in Build::names() {
        let emulator = || Arc::new(Emulator::new(build.parse::<Build>().unwrap()));
        let survey = |hcn: Arc<dyn Hcn>| conformance::survey(hcn, String::new(), |_| {}).unwrap();
        let answers = |survey: Survey| survey.findings.into_iter().map(|one| (one.check, one.observed, one.verdict));
        let service = serve(&emulator());
        let over_tcp: Vec<_> = answers(survey(Arc::new(remote(&service)))).collect();
        assert_eq!(over_tcp, answers(survey(emulator())).collect::<Vec<_>>(), "{build}");
    }
}

#[test]
fn the_journal_over_tcp_is_that_of_the_same_calls_in_process() {
    let work = |hcn: &dyn Hcn| {
        let made = handle(hcn.call(&create_namespace()));
        hcn.call(&Call::Query { kind: Kind::Namespace, handle: made, query: String::new() }).unwrap();
        hcn.call(&Call::Close { kind: Kind::Namespace, handle: made }).unwrap();
        hcn.call(&enumerate(Kind::Namespace)).unwrap();
        hcn.call(&Call::Open { kind: Kind::Network, id: Guid::from_u128(1) }).unwrap_err();
        hcn.call(&Call::Query { kind: Kind::Network, handle: Handle(0), query: String::new() }).unwrap_err()
    };
    let (here, there) = (emulator(), emulator());
    let service = serve(&there);
    let errors = (work(&*here), work(&remote(&service)));
    assert_eq!(errors.0, errors.1);
    let seen = |emulator: &Emulator| {
        // HNS chooses the id of the namespace.
        emulator.journal().into_iter().map(|entry| (entry.function, entry.subject, entry.code)).collect::<Vec<_>>()
    };
    assert_eq!(seen(&here), seen(&there));
    assert_eq!(here.counters(), there.counters());
}

#[test]
fn many_threads_share_one_remote() {
    let emulator = emulator();
    let service = serve(&emulator);
    let remote = remote(&service);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let made = handle(remote.call(&create_namespace()));
                    let query = Call::Query { kind: Kind::Namespace, handle: made, query: String::new() };
                    assert!(matches!(remote.call(&query), Ok(Reply::Document(_))));
                    assert_eq!(remote.call(&Call::Close { kind: Kind::Namespace, handle: made }), Ok(Reply::Done));
                }
            });
        }
    });
    assert_eq!(emulator.documents(Kind::Namespace).len(), 800);
    assert_eq!(service.clients(), 1);
}

#[test]
fn state_outlives_clients_and_their_handles_do_not() {
    let emulator = emulator();
    let service = serve(&emulator);
    let first = remote(&service);
    let made = handle(first.call(&create_namespace()));
    let query = Call::Query { kind: Kind::Namespace, handle: made, query: String::new() };
    assert!(emulator.call(&query).is_ok());

    // A handle is invalid for another client, even for closing it.
    let second = remote(&service);
    assert_eq!(second.call(&query).unwrap_err().code(), Some(Hresult::E_HANDLE));
    second.call(&Call::Close { kind: Kind::Namespace, handle: made }).unwrap();
    assert!(first.call(&query).is_ok());

    drop(first);
    until("the first client is gone", || service.clients() == 1);
    assert_eq!(emulator.call(&query).unwrap_err().code(), Some(Hresult::E_HANDLE));
    assert_eq!(emulator.documents(Kind::Namespace).len(), 1);
    let Ok(Reply::Document(ids)) = second.call(&enumerate(Kind::Namespace)) else { panic!() };
    assert_eq!(serde_json::from_str::<Vec<Guid>>(&ids).unwrap().len(), 1);
}

#[test]
fn invalid_data_ends_its_connection_and_nothing_else() {
    let emulator = emulator();
    let service = serve(&emulator);
    let good = remote(&service);
    good.call(&version()).unwrap();
    let client = Guid::from_u128(1);
    let call = |body: &[u8]| [hello(client), frame(body)].concat();
    let rubbish = [
        b"GET / HTTP/1.1\r\nHost: hns\r\n\r\n".to_vec(),
        u32::MAX.to_le_bytes().to_vec(),
        frame(b""),
        frame(b"\xff\xfe"),
        frame(br#"{"Call":"#),
        frame(br#"{"Call":{"Open":{"kind":"Network","id":"00000000-0000-0000-0000-000000000001"}}}"#),
        frame(br#"{"Hello":{"protocol":99,"client":"00000000-0000-0000-0000-000000000001"}}"#),
        [hello(client), hello(client)].concat(),
        call(b"no"),
        call(br#"{"Call":{"Explode":{}}}"#),
        call(br#"{"Control":"Explode"}"#),
        call("[".repeat(100_000).as_bytes()),
    ];
    for bytes in rubbish {
        let mut stream = connect(service.address());
        stream.write_all(&bytes).unwrap();
        // The connection ends in any case, possibly by a reset if the service has not read all bytes.
        let mut back = Vec::new();
        match stream.read_to_end(&mut back) {
            Ok(_) => assert!(back.len() > 4 && back[4..].starts_with(br#"{"Refused":""#), "{bytes:?}: {back:?}"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{bytes:?}"),
        }
        good.call(&version()).unwrap();
    }
    // An incomplete frame does not block other clients.
    let mut slow = connect(service.address());
    slow.write_all(&[100, 0]).unwrap();
    good.call(&version()).unwrap();
    until("all but one are gone", || service.clients() == 1);
}

#[test]
fn a_client_that_disconnects_during_a_call_leaves_no_handle_open() {
    let emulator = emulator();
    let service = serve(&emulator);
    let control = control(&service);
    let fault = |which, effect| Fault { which, from: 1, every: 1, effect };
    let create = Which::Function("HcnCreateNamespace".into());
    control.inject(fault(create, Effect::Delay(Duration::from_millis(200)))).unwrap();
    let mut stream = connect(service.address());
    let call = frame(json!({"Call": create_namespace()}).to_string().as_bytes());
    stream.write_all(&[hello(Guid::from_u128(1)), call].concat()).unwrap();
    until("the client is known", || service.clients() == 2);
    drop(stream);
    until("the call is carried out", || emulator.documents(Kind::Namespace).len() == 1);
    until("the client is gone", || service.clients() == 1);
    // The only handle that was returned.
    let query = Call::Query { kind: Kind::Namespace, handle: Handle(1), query: String::new() };
    assert_eq!(emulator.call(&query).unwrap_err().code(), Some(Hresult::E_HANDLE));
    control.clear_faults().unwrap();
    remote(&service).call(&create_namespace()).unwrap();
}

#[test]
fn a_call_that_hangs_is_made_when_it_is_released() {
    let emulator = emulator();
    let service = serve(&emulator);
    let (control, remote) = (control(&service), remote(&service));
    let which = Which::Function("HcnCreateNamespace".into());
    control.inject(Fault { which, from: 2, every: 0, effect: Effect::Hang }).unwrap();
    remote.call(&create_namespace()).unwrap();
    let caller = std::thread::spawn(move || remote.call(&create_namespace()).map(drop));
    until("the call hangs", || control.hung_calls().unwrap() == 1);
    assert_eq!(emulator.documents(Kind::Namespace).len(), 1);
    control.release().unwrap();
    assert_eq!(caller.join().unwrap(), Ok(()));
    assert_eq!((control.hung_calls().unwrap(), emulator.documents(Kind::Namespace).len()), (0, 2));
}

#[test]
fn a_missing_service_is_unavailable_and_a_late_one_is_found() {
    let address = nowhere();
    let remote = Remote::connect_lazily(address.to_string());
    for _ in 0..2 {
        let error = remote.call(&version()).unwrap_err();
        assert_eq!(error, Error::hns("HNSCall", Hresult::RPC_S_SERVER_UNAVAILABLE));
        assert_eq!(error.class(), Class::Unavailable);
    }
    for address in ["", "127.0.0.1", "127.0.0.1:http:80"] {
        let error = Remote::connect_lazily(address).call(&version()).unwrap_err();
        assert_eq!(error.code(), Some(Hresult::RPC_S_SERVER_UNAVAILABLE), "{address:?}");
    }

    let service = Service::bind(address, emulator()).unwrap().spawn().unwrap();
    remote.call(&version()).unwrap();
    service.stop();
    // The idle connection is broken.
    assert_eq!(remote.call(&version()), Err(Error::hns("HNSCall", Hresult::RPC_S_CALL_FAILED)));
    assert_eq!(remote.call(&version()), Err(Error::hns("HNSCall", Hresult::RPC_S_SERVER_UNAVAILABLE)));
    let again = Service::bind(address, emulator()).unwrap().spawn().unwrap();
    remote.call(&version()).unwrap();
    assert_eq!(again.clients(), 1);
}

#[test]
fn a_service_that_ends_during_a_call_fails_the_call() {
    let emulator = emulator();
    let service = serve(&emulator);
    let remote = Arc::new(remote(&service));
    emulator.delay("HNSCall", Duration::from_millis(500));
    let calling = thread::spawn(move || remote.call(&version()));
    until("the client is known", || service.clients() == 1);
    // The stop does not wait for the call.
    service.stop();
    assert_eq!(calling.join().unwrap(), Err(Error::hns("HNSCall", Hresult::RPC_S_CALL_FAILED)));
}

#[test]
fn a_taken_address_is_an_error_and_a_stopped_service_frees_it() {
    let service = serve(&emulator());
    let address = service.address();
    let error = Service::bind(address, emulator()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    remote(&service).call(&version()).unwrap();
    service.stop();
    let all = Service::bind("0.0.0.0:0", emulator()).unwrap();
    all.spawn().unwrap().stop();
    serve(&emulator()).stop();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn documents_too_large_for_a_frame_are_rejected_and_large_ones_are_not() {
    let service = serve(&emulator());
    let remote = remote(&service);
    let settings = |length| json!({"SchemaVersion": {"Major": 2, "Minor": 0}, "Name": "x".repeat(length)}).to_string();
    let create =
        |length| Call::Create { kind: Kind::Namespace, network: None, id: Guid::nil(), settings: settings(length) };
    let made = handle(remote.call(&create(4 << 20)));
    let query = r#"{"SchemaVersion":{"Major":2,"Minor":0}}"#.into();
    let Ok(Reply::Document(back)) = remote.call(&Call::Query { kind: Kind::Namespace, handle: made, query }) else {
        panic!()
    };
    assert!(back.len() > 4 << 20);
    let error = remote.call(&create(64 << 20)).unwrap_err();
    assert_eq!(error.code(), Some(Hresult::E_INVALIDARG));
    remote.call(&version()).unwrap();
}

#[test]
fn control_has_the_methods_of_the_emulator() {
    let emulator = emulator();
    let facts = Host { hns_version: "15.5".into(), node: "win-1".into(), ..Host::default() };
    let service = Service::bind("127.0.0.1:0", emulator.clone()).unwrap().with_facts(&facts).spawn().unwrap();
    let (control, remote) = (control(&service), remote(&service));

    let id = Guid::from_u128(7);
    let network = json!({"ID": id, "Name": "cbr0", "Type": "L2Bridge", "Ipams": []});
    assert_eq!(control.add(Kind::Network, network.clone()).unwrap(), id);
    assert!(matches!(control.add(Kind::Network, network), Err(ControlError::Refused(_))));
    assert!(control.add(Kind::Network, Value::Null).is_err());
    assert!(control.add(Kind::Network, json!({"ID": "7"})).is_err());
    let pod = control.add_local_endpoint(id, "pod", &["10.244.1.7".parse().unwrap()]).unwrap();
    assert!(matches!(control.add_local_endpoint(pod, "pod", &[]), Err(ControlError::Refused(_))));
    let names: Vec<Value> = control.documents(Kind::Endpoint).unwrap().iter().map(|d| d["Name"].clone()).collect();
    assert_eq!(names, ["pod"]);

    let renamed = json!({"ID": pod, "Name": "renamed", "HostComputeNetwork": id});
    control.replace(Kind::Endpoint, pod, renamed.clone()).unwrap();
    assert_eq!(control.documents(Kind::Endpoint).unwrap()[0]["Name"], "renamed");
    assert!(matches!(control.replace(Kind::Endpoint, id, renamed.clone()), Err(ControlError::Refused(_))));
    assert!(control.replace(Kind::Network, id, renamed).unwrap_err().to_string().contains(&pod.to_string()));

    let host = control.host().unwrap();
    assert_eq!((host.node.as_str(), host.objects.len()), ("win-1", 2));
    assert_eq!(control.facts().unwrap(), facts);
    assert_eq!(Emulator::from_host(&host).unwrap().documents(Kind::Network), emulator.documents(Kind::Network));

    remote.call(&enumerate(Kind::Network)).unwrap();
    remote.call(&Call::Delete { kind: Kind::LoadBalancer, id }).unwrap_err();
    let journal = control.journal().unwrap();
    let seen: Vec<_> = journal.iter().map(|line| (line.function.as_str(), line.is_write)).collect();
    assert_eq!(seen, [("HcnEnumerateNetworks", false), ("HcnDeleteLoadBalancer", true)]);
    assert_eq!(journal[1].subject, id.to_string());
    assert_eq!((journal[1].kind, journal[1].id), (Some(Kind::LoadBalancer), Some(id)));
    assert_eq!(journal[1].rule.as_deref(), Some(hcn_emulator::rules::UNKNOWN_LOAD_BALANCER.name));
    let counters = control.counters().unwrap();
    assert_eq!((counters.native_calls, counters.writes, counters.functions["HcnEnumerateNetworks"]), (2, 1, 1));
    control.reset_journal().unwrap();
    assert_eq!(control.counters().unwrap(), hcn_emulator::control::Counters::default());

    let code = Hresult::ERROR_TIMEOUT;
    control.inject(Fault { which: Which::Any, from: 1, every: 0, effect: Effect::FailAfter(code) }).unwrap();
    assert_eq!(remote.call(&version()).unwrap_err().code(), Some(code));
    control.inject(Fault { which: Which::Writes, from: 1, every: 1, effect: Effect::Fail(code) }).unwrap();
    control.clear_faults().unwrap();
    let twice = Fault { which: Which::Any, from: 1, every: 1, effect: Effect::Fail(code) };
    control.inject_times(twice, 2).unwrap();
    assert_eq!([(); 3].map(|()| remote.call(&version()).is_ok()), [false, false, true]);
    remote.call(&create_namespace()).unwrap();
    control.inject(Fault::of_each(Which::V2List(Kind::Network), Effect::Partial(0))).unwrap();
    assert_eq!(remote.call(&enumerate(Kind::Network)).unwrap(), Reply::Document("[]".into()));
    control.clear_faults().unwrap();

    let options = Options { accepts_no_backend: true, ..control.options().unwrap() };
    control.set_options(options).unwrap();
    assert_eq!((control.options().unwrap(), emulator.options()), (options, options));
    let quirks = Quirks { silent_modify: true, reserved_ports: [(6, 80)].into(), ..control.quirks().unwrap() };
    control.set_quirks(quirks.clone()).unwrap();
    assert_eq!((control.quirks().unwrap(), emulator.build().quirks), (quirks.clone(), quirks));

    control.stop(&[Kind::Endpoint]).unwrap();
    assert_eq!(remote.call(&version()).unwrap_err().class(), Class::Unavailable);
    control.start().unwrap();
    remote.call(&version()).unwrap();
    assert!(control.documents(Kind::Endpoint).unwrap().is_empty());
    control.reappear().unwrap();
    assert_eq!(control.documents(Kind::Endpoint).unwrap().len(), 1);
    control.remove(Kind::Endpoint, pod).unwrap();
    assert!(control.remove(Kind::Endpoint, pod).is_err());

    let nobody = Control::connect_lazily(nowhere().to_string());
    assert!(matches!(nobody.journal(), Err(ControlError::Unavailable(_))));
}
