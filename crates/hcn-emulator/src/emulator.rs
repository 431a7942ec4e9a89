//! The emulator: carries out calls on the store, injects faults, keeps the journal, and acts as other users of HNS on the host.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hcn::call::{Call, Reply};
use hcn::error::ErrorRecord;
use hcn::notification::{Listener, Subscription};
use hcn::{Error, Event, Guid, Hcn, Hresult, Kind};
use serde_json::{Value, json};

use crate::builds::{Build, Options, Quirks};
use crate::clock::Clock;
use crate::events::Subscribers;
use crate::faults::{Effect, Fault, Faults, Which};
use crate::feed::{ChangeFeed, ChangeFeeds, What};
use crate::host::{Host, HostError};
use crate::journal::{Detail, Entry, Journal};
use crate::rules;
use crate::store::{Noted, Store, set, strictly};
use crate::v2;

/// An emulated Host Networking Service. See the documentation of the crate for its limits.
pub struct Emulator {
    state: Mutex<State>,
    clock: Clock,
    hung: Mutex<Hung>,
    released: Condvar,
}

/// The calls that hang.
#[derive(Debug, Default)]
struct Hung {
    calls: usize,
    /// How often calls were released.
    releases: u64,
}

struct State {
    store: Store,
    journal: Journal,
    faults: Faults,
    down: bool,
    /// Objects that disappeared at a stop, in order.
    hidden: Vec<(Kind, Guid, Value)>,
    subscribers: Subscribers,
    feeds: ChangeFeeds,
}

impl State {
    fn inject(&mut self, fault: Fault, times: Option<u64>) {
        let Self { faults, store, .. } = self;
        faults.inject(fault, times, store);
    }
}

/// The locked state. Unlocking it notifies subscribers.
struct Locked<'a> {
    state: MutexGuard<'a, State>,
    clock: &'a Clock,
}

impl std::ops::Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl std::ops::DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let State { store, subscribers, feeds, .. } = &mut *self.state;
        subscribers.tell(store.happened.drain(..));
        if store.is_followed {
            store.is_followed = feeds.publish(self.clock.now(), store.take_changes());
        }
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("build", &self.state().store.build.name).finish_non_exhaustive()
    }
}

/// The kinds of objects in a host document.
const KINDS: [Kind; 3] = [Kind::Network, Kind::Endpoint, Kind::LoadBalancer];

impl Emulator {
    /// An HNS without objects.
    pub fn new(build: Build) -> Self {
        let store = Store::new(build);
        let state = State {
            store,
            journal: Journal::default(),
            faults: Faults::default(),
            down: false,
            hidden: Vec::new(),
            subscribers: Subscribers::default(),
            feeds: ChangeFeeds::default(),
        };
        Self { state: Mutex::new(state), clock: Clock::system(), hung: Mutex::default(), released: Condvar::new() }
    }

    /// An HNS with the objects of a host document.
    ///
    /// # Errors
    /// If the version is invalid, or an object has an unknown `_kind`, no valid id, or an invalid document.
    pub fn from_host(host: &Host) -> Result<Self, HostError> {
        let build: Build = host.hns_version.parse().map_err(HostError::Version)?;
        let emulator = Self::new(build);
        emulator.state().store.node_ips.clone_from(&host.node_ips);
        for (index, object) in host.objects.iter().enumerate() {
            let text = |member: &str| object.get(member).and_then(Value::as_str);
            let name = text("Name").or(text("ID")).map(str::to_owned);
            let fail = |reason: String| HostError::Object { index, name: name.clone(), reason };
            let kind = match text("_kind") {
                Some("Network") => Kind::Network,
                Some("Endpoint") => Kind::Endpoint,
                Some("LoadBalancer") => Kind::LoadBalancer,
                Some(other) => {
                    return Err(fail(format!("unknown _kind {other:?} (known: Network, Endpoint, LoadBalancer)")));
                }
                None => return Err(fail("missing _kind: expected Network, Endpoint or LoadBalancer".into())),
            };
            let id = text("ID").ok_or_else(|| fail("missing ID".into()))?;
            let id: Guid = id.parse().map_err(|_| fail(format!("invalid ID {id:?}")))?;
            let mut document = object.clone();
            if let Value::Object(members) = &mut document {
                members.shift_remove("_kind");
            }
            let shape = match kind {
                Kind::Network => strictly::<hcn::schema::Network>(&document).err(),
                Kind::Endpoint => strictly::<hcn::schema::Endpoint>(&document).err(),
                _ => strictly::<hcn::schema::LoadBalancer>(&document).err(),
            };
            if let Some(error) = shape {
                return Err(fail(error));
            }
            let mut state = emulator.state();
            if state.store.table(kind).get(id).is_some() {
                return Err(fail(format!("duplicate ID {id}")));
            }
            state.store.insert(kind, id, document);
        }
        Ok(emulator)
    }

    /// The same emulator on a virtual clock, on which delays take no time. Other time passes only by [`advance`](Self::advance).
    #[must_use]
    pub fn on_virtual_clock(self) -> Self {
        Self { clock: Clock::fixed(), ..self }
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        self.clock.wait(time);
    }

    /// The time since its start, which the journal and the change feed use.
    pub fn age(&self) -> Duration {
        self.clock.now()
    }

    /// All objects, with a host's facts about itself.
    pub fn to_host(&self, facts: &Host) -> Host {
        let state = self.state();
        let mut objects = Vec::new();
        for kind in KINDS {
            for (_, document) in state.store.table(kind).iter() {
                let mut document = document.clone();
                if let Value::Object(members) = &mut document {
                    members.insert("_kind".into(), kind.name().into());
                }
                objects.push(document);
            }
        }
        Host { objects, ..facts.clone() }
    }

    fn state(&self) -> Locked<'_> {
        Locked { state: self.state.lock().unwrap_or_else(PoisonError::into_inner), clock: &self.clock }
    }

    pub fn build(&self) -> Build {
        self.state().store.build.clone()
    }

    /// Changes the build, and keeps the objects.
    pub fn change_build(&self, build: Build) {
        self.state().store.build = build;
    }

    pub fn change_quirks(&self, change: impl FnOnce(&mut Quirks)) {
        change(&mut self.state().store.build.quirks);
    }

    pub fn options(&self) -> Options {
        self.state().store.options
    }

    pub fn change_options(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.state().store.options);
    }

    /// Sets the addresses of the host. Ports on them are ports of the host.
    pub fn set_node_ips(&self, addresses: &[IpAddr]) {
        self.state().store.node_ips = addresses.to_vec();
    }

    /// The calls since the last reset of the journal, in order.
    pub fn journal(&self) -> Vec<Entry> {
        self.state().journal.entries()
    }

    /// As [`journal`](Self::journal), each call with its object and the rule that rejected it.
    pub fn journal_details(&self) -> Vec<Detail> {
        self.state().journal.details()
    }

    /// Calls of each native function since the last reset of the journal.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        self.state().journal.counters()
    }

    /// Native calls since the last reset of the journal.
    pub fn native_calls(&self) -> u64 {
        self.state().journal.native_calls()
    }

    /// Calls since the last reset that can change the state of HNS, failed ones included.
    pub fn writes(&self) -> u64 {
        self.state().journal.writes()
    }

    /// Clears the journal and counters.
    pub fn reset_journal(&self) {
        self.state().journal = Journal::default();
    }

    pub fn inject(&self, fault: Fault) {
        self.state().inject(fault, None);
    }

    /// Injects a fault that affects at most `times` calls.
    pub fn inject_times(&self, fault: Fault, times: u64) {
        self.state().inject(fault, Some(times));
    }

    /// Makes the nth call of a function from now on, counted from 1, fail with a code.
    pub fn fail_nth(&self, function: &str, nth: u64, code: Hresult) {
        self.inject(Fault { which: Which::Function(function.into()), from: nth, every: 0, effect: Effect::Fail(code) });
    }

    /// Delays every call of a function.
    pub fn delay(&self, function: &str, delay: Duration) {
        self.inject(Fault::of_each(Which::Function(function.into()), Effect::Delay(delay)));
    }

    /// Makes the nth call of a function from now on, counted from 1, hang until [`release`](Self::release).
    pub fn hang_nth(&self, function: &str, nth: u64) {
        self.inject(Fault { which: Which::Function(function.into()), from: nth, every: 0, effect: Effect::Hang });
    }

    /// Releases the calls that hang. Their faults stay.
    pub fn release(&self) {
        self.hung().releases += 1;
        self.released.notify_all();
    }

    /// The number of calls that hang.
    pub fn hung_calls(&self) -> usize {
        self.hung().calls
    }

    fn hang(&self) {
        let mut hung = self.hung();
        hung.calls += 1;
        let before = hung.releases;
        let waits = |hung: &mut Hung| hung.releases == before;
        let mut hung = self.released.wait_while(hung, waits).unwrap_or_else(PoisonError::into_inner);
        hung.calls -= 1;
    }

    fn hung(&self) -> MutexGuard<'_, Hung> {
        self.hung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes all faults. Calls that hang are released.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
        self.release();
    }

    /// Stops the service: open handles become invalid, calls fail, subscriptions end, and objects of these kinds disappear until
    /// [`reappear`](Self::reappear).
    pub fn stop(&self, lost: &[Kind]) {
        let mut state = self.state();
        if !state.down {
            state.store.note(Noted::ServiceStopped);
        }
        state.down = true;
        state.store.close_all();
        for kind in lost {
            let ids: Vec<Guid> = state.store.table(*kind).iter().map(|(id, _)| id).collect();
            for id in ids {
                let document = state.store.remove(*kind, id);
                state.hidden.extend(document.map(|document| (*kind, id, document)));
            }
        }
        // A service that stops sends no notifications for objects that disappear with it.
        state.store.happened.clear();
        state.subscribers.disconnect();
    }

    /// Starts HNS again. It restores the load balancers that it has kept.
    pub fn start(&self) {
        let mut state = self.state();
        if state.down {
            state.store.note(Noted::ServiceStarted);
        }
        state.down = false;
        state.store.restored_all();
    }

    /// Restores the objects that disappeared at a stop, except those whose ids are in use.
    pub fn reappear(&self) {
        let mut state = self.state();
        for (kind, id, document) in std::mem::take(&mut state.hidden) {
            if state.store.table(kind).get(id).is_none() {
                state.store.insert(kind, id, document);
            }
        }
        state.store.restored_all();
    }

    /// Subscribes to the changes of HNS: first the present state, then each change, also while the service is stopped. At most `capacity`
    /// changes may wait in addition to the initial state; if there are more, the feed ends with [`FeedEnd::TooSlow`](crate::feed::FeedEnd).
    pub fn follow(&self, capacity: usize) -> ChangeFeed {
        let mut state = self.state();
        let State { store, feeds, down, .. } = &mut *state;
        store.is_followed = true;
        let service = down.then_some(What::ServiceStopped);
        feeds.add(self.clock.now(), store.state().chain(service), capacity)
    }

    /// The documents of a kind, in the order of creation. Not a native call.
    pub fn documents(&self, kind: Kind) -> Vec<Value> {
        self.state().store.table(kind).iter().map(|(_, document)| document.clone()).collect()
    }

    /// The document of an object. Not a native call.
    pub fn document(&self, kind: Kind, id: Guid) -> Option<Value> {
        self.state().store.table(kind).get(id).cloned()
    }

    /// Removes an object with its dependants, as another user of HNS; quirks do not apply. Not a native call.
    pub fn remove(&self, kind: Kind, id: Guid) {
        self.state().store.delete_anyway(kind, id);
    }

    /// Adds an object without checks, as another user of HNS. Replaces an object with the same id. Not a native call.
    pub fn add(&self, kind: Kind, document: Value) -> Guid {
        let own = document.get("ID").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let id = own.unwrap_or_else(Guid::new_v4);
        self.state().store.insert(kind, id, document);
        id
    }

    /// Replaces the document of an object without checks, as another user of HNS. Not a native call.
    pub fn replace(&self, kind: Kind, id: Guid, document: Value) {
        self.state().store.replace(kind, id, document);
    }

    /// Adds the endpoint of a pod, as a CNI plugin does: attached, with the prefix lengths of the network and a new MAC address. Not a
    /// native call.
    pub fn add_local_endpoint(&self, network: Guid, name: &str, addresses: &[IpAddr]) -> Guid {
        let configurations: Vec<Value> = addresses.iter().map(|ip| json!({"IpAddress": ip.to_string()})).collect();
        let mut document = json!({"Name": name, "HostComputeNetwork": network, "IpConfigurations": configurations});
        let mut state = self.state();
        let store = &mut state.store;
        store.complete_addresses(network, &mut document);
        set(&mut document, "MacAddress", store.mac_for(network));
        let id = Guid::new_v4();
        store.insert(Kind::Endpoint, id, document);
        store.happened.push((Event::EndpointAttached, id));
        id
    }
}

impl Hcn for Emulator {
    fn subscribe(&self, listener: Listener) -> Result<Subscription, Error> {
        let mut state = self.state();
        if state.down {
            return Err(Error::hns("HcnRegisterServiceCallback", rules::SERVICE_DOWN.code));
        }
        state.subscribers.add(listener)
    }

    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let (mut effects, delay) = {
            let mut state = self.state();
            let effects = state.faults.effects_on(call);
            let own =
                if call.is_write() { state.store.build.write_time(state.store.options.pace) } else { Duration::ZERO };
            let delay = own.saturating_add(effects.delay);
            (effects, delay)
        };
        if !delay.is_zero() {
            self.clock.wait(delay);
        }
        if effects.hang {
            self.hang();
        }
        let mut state = self.state();
        let State { store, journal, down, .. } = &mut *state;
        store.about = None;
        store.unknown_member = None;
        let mut rule = None;
        let mut detail = String::new();
        let mut result = match effects.fail {
            Some(code) => Err(code),
            None => {
                let result = match (effects.stale.take(), effects.pretended(call)) {
                    _ if *down => Err(rules::SERVICE_DOWN),
                    (Some(earlier), _) => earlier,
                    (None, Some(success)) => Ok(success),
                    (None, None) => v2::call(store, call),
                };
                result.map(|reply| effects.thin_out(call, reply)).map_err(|refusal| {
                    rule = Some(refusal);
                    detail = store.unknown_member.take().unwrap_or_else(|| refusal.detail.to_owned());
                    refusal.code
                })
            }
        };
        if let Some(code) = effects.fail_after {
            (result, rule, detail) = (Err(code), None, String::new());
        }
        let code = result.as_ref().err().copied().unwrap_or(Hresult::S_OK);
        journal.note(call, code, store.about, rule.map(|rule| rule.name), self.clock.now());
        let in_envelope = rule.is_some_and(|rule| store.fails_in_envelope(call, rule)) && !*down;
        result.or_else(|code| {
            let text = code.text().unwrap_or("Unspecified error.");
            if in_envelope && matches!(call, Call::Hns { .. }) {
                let envelope = json!({"Success": false, "Error": format!("{text} {detail}")});
                return Ok(Reply::Document(envelope.to_string()));
            }
            let record = ErrorRecord { success: false, error: format!("{text} {detail}"), error_code: code.0 };
            Err(Error::Hns { function: call.function(), code, record: Some(record) })
        })
    }
}
