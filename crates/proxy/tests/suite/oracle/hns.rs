//! An HNS that fails in every known way, and shows each write to the witness. One call at a time, so that the order of calls is known with
//! any number of threads.

mod lies;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use hcn::call::{Call, Handle, Hcn, Reply};
use hcn::schema::LoadBalancer;
use hcn::{Class, Error, Guid, Hresult, Kind};
use hcn_emulator::Emulator;
use serde_json::Value;

use super::disturbances::{Lists, What};
use super::random::Random;
use super::witness::Witness;
use super::write::{Write, is_refusal, list_of, object_of};
use lies::Lies;

/// The ways to fail, each of which a world may have or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    /// A call fails, and is not made.
    pub(super) refused: bool,
    /// A write is made, and reports an error.
    pub(super) unconfirmed: bool,
    /// A write times out, and is made later.
    pub(super) late: bool,
    /// HNS restarts; objects are lost, some reappear.
    pub(super) restarts: bool,
    /// Objects vanish while calls are made.
    pub(super) losses: bool,
    /// The process ends at a call.
    pub(super) deaths: bool,
    /// Lists are wrong although they succeed.
    pub(super) lies: bool,
}

pub(super) struct Hns {
    pub(super) emulator: Arc<Emulator>,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) witness: Witness,
    pub(super) random: Random,
    faults: Faults,
    /// Whether calls fail at present.
    pub(super) armed: bool,
    pub(super) dead: bool,
    /// The number of calls, failed ones included.
    pub(super) clock: u64,
    /// The number of calls for which HNS is unavailable.
    away: u64,
    /// The number of calls after which lost objects reappear.
    reappears: Option<u64>,
    /// Writes that take effect after a number of calls.
    late: Vec<(u64, Call, Option<Guid>)>,
    handles: HashMap<Handle, Guid>,
    /// The ids of created objects, by the handles through which they are read back.
    created: HashMap<Handle, Guid>,
    /// Documents that objects of ours had.
    pub(super) graveyard: Vec<(Kind, Guid, Value)>,
    /// Networks that are deleted at present.
    pub(super) networks: Vec<(Kind, Value)>,
    pub(super) audit: Option<(u64, bool, Lists)>,
    pub(super) lies: Lies,
    /// The last documents of all objects that ever were.
    pub(super) documents: HashMap<Guid, Value>,
    /// Whether HNS made a mistake in this step.
    pub(super) mistaken: bool,
}

/// One of each class, and some that are hard to tell from each other.
pub(super) const CODES: [Hresult; 15] = [
    Hresult::RPC_S_CALL_FAILED,
    Hresult::RPC_S_SERVER_UNAVAILABLE,
    Hresult::ERROR_TIMEOUT,
    Hresult::HCN_E_MANAGER_STOPPED,
    Hresult::HCN_E_PORT_NOT_FOUND,
    Hresult::HCN_E_PORT_ALREADY_EXISTS,
    Hresult::ERROR_ALREADY_EXISTS,
    Hresult::ELEMENT_NOT_FOUND,
    Hresult::HCN_E_ENDPOINT_NOT_FOUND,
    Hresult::HCN_E_OBJECT_USED_AFTER_UNLOAD,
    Hresult::E_OUTOFMEMORY,
    Hresult::ERROR_GEN_FAILURE,
    Hresult::HCN_E_INVALID_POLICY,
    Hresult::E_ACCESSDENIED,
    Hresult::E_NOTIMPL,
];

impl Hns {
    pub(super) fn new(emulator: Arc<Emulator>, witness: Witness, faults: Faults) -> Self {
        let state = State {
            witness,
            random: Random::of(0, 0),
            faults,
            armed: false,
            dead: false,
            clock: 0,
            away: 0,
            reappears: None,
            late: Vec::new(),
            handles: HashMap::new(),
            created: HashMap::new(),
            graveyard: Vec::new(),
            networks: Vec::new(),
            audit: None,
            lies: Lies::default(),
            documents: HashMap::new(),
            mistaken: false,
        };
        Self { emulator, state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// All faults end, and what they began takes effect.
    pub(super) fn calm(&self) {
        let mut state = self.state();
        (state.armed, state.away) = (false, 0);
        self.emulator.start();
        self.emulator.clear_faults();
        state.lies = Lies::default();
        if state.reappears.take().is_some() {
            self.reappear(&mut state);
        }
        while let Some((_, call, id)) = state.late.pop() {
            self.make_late(&mut state, call, id);
        }
    }

    pub(super) fn begin_audit(&self) {
        let mut state = self.state();
        state.audit = Some((state.clock, true, Lists::default()));
    }

    /// `blind` are the kinds whose contents the process no longer reads, since their v1 list was wrong.
    pub(super) fn end_audit(&self, succeeded: bool, blind: &[Kind]) {
        let mut state = self.state();
        let Some((begun, clean, mut lists)) = state.audit.take() else { return };
        lists.blind = (blind.contains(&Kind::Endpoint), blind.contains(&Kind::LoadBalancer));
        if succeeded {
            // A call at the clock of the beginning was made before.
            state.witness.disturbances.audited(begun + 1, clean, lists);
        } else {
            state.witness.disturbances.audit_failed();
            state.witness.require_lists();
        }
    }

    /// Another program adds or replaces an object.
    pub(super) fn add(&self, state: &mut State, kind: Kind, id: Guid, document: Value) {
        let before = self.emulator.document(kind, id);
        state.note(kind, &before, if before.is_some() { What::Contents } else { What::Ids });
        if !proxy::identity::is_ours(id) {
            state.witness.foreign.insert(id);
        }
        let document = with_id(document, id);
        self.emulator.add(kind, document.clone());
        state.remember(kind, id, &document);
        state.note(kind, &Some(document), if before.is_some() { What::Contents } else { What::Ids });
    }

    /// Another program removes an object.
    pub(super) fn remove(&self, state: &mut State, kind: Kind, id: Guid) {
        let before = self.emulator.document(kind, id);
        state.note(kind, &before, What::Ids);
        self.emulator.remove(kind, id);
    }

    /// What happens to HNS before a call.
    fn advance(&self, state: &mut State) {
        if state.away > 0 {
            state.away -= 1;
            if state.away == 0 {
                self.emulator.start();
            }
        }
        if let Some(calls) = state.reappears {
            state.reappears = calls.checked_sub(1);
            if calls == 0 {
                self.reappear(state);
            }
        }
        let (due, rest) = std::mem::take(&mut state.late).into_iter().partition(|(calls, ..)| *calls == 0);
        state.late = rest;
        state.late.iter_mut().for_each(|(calls, ..)| *calls -= 1);
        let due: Vec<(u64, Call, Option<Guid>)> = due;
        due.into_iter().for_each(|(_, call, id)| self.make_late(state, call, id));
        if !state.armed {
            return;
        }
        let faults = state.faults;
        match state.random.below(1000) {
            0..6 if faults.restarts => self.restart(state),
            6..18 if faults.losses => self.lose_one(state),
            18..23 if faults.deaths => state.dead = true,
            23..40 if faults.lies => self.tamper(state),
            _ => {}
        }
    }

    /// The code of a call that fails, and whether it is made nevertheless.
    fn fault(state: &mut State, call: &Call) -> Option<(Hresult, bool)> {
        if !state.armed {
            return None;
        }
        let faults = state.faults;
        let code = CODES[state.random.index(CODES.len())];
        match state.random.below(1000) {
            0..70 if faults.refused => Some((code, false)),
            70..110 if faults.unconfirmed && call.is_write() => Some((code, true)),
            _ => None,
        }
    }

    /// HNS restarts. Foreign objects stay.
    fn restart(&self, state: &mut State) {
        if state.away > 0 || state.reappears.is_some() {
            return;
        }
        state.mistaken = true;
        state.away = 1 + state.random.below(6);
        let lost: &[Kind] = match state.random.below(3) {
            0 => &[],
            1 => &[Kind::LoadBalancer],
            _ => &[Kind::LoadBalancer, Kind::Endpoint],
        };
        let stay: Vec<(Kind, Value)> = lost
            .iter()
            .flat_map(|kind| self.emulator.documents(*kind).into_iter().map(move |document| (*kind, document)))
            .collect();
        for (kind, document) in &stay {
            state.note(*kind, &Some(document.clone()), What::Ids);
        }
        state.witness.log(format!("HNS restarts without {lost:?}"));
        self.emulator.stop(lost);
        for (kind, document) in stay.into_iter().filter(|(_, one)| state.witness.foreign.contains(&id_of(one))) {
            self.emulator.add(kind, document);
        }
        state.reappears = state.random.one_in(2).then(|| state.away + state.random.below(20));
    }

    fn reappear(&self, state: &mut State) {
        let ids = |kind| self.emulator.documents(kind).iter().map(id_of).collect::<Vec<_>>();
        let before: Vec<Guid> = [Kind::Endpoint, Kind::LoadBalancer].into_iter().flat_map(ids).collect();
        self.emulator.reappear();
        for kind in [Kind::Endpoint, Kind::LoadBalancer] {
            for document in self.emulator.documents(kind).into_iter().filter(|one| !before.contains(&id_of(one))) {
                // It was deleted with its network after the restart.
                let network = document["HostComputeNetwork"].as_str().map(|id| id.parse().unwrap());
                if network.is_some_and(|network| self.emulator.document(Kind::Network, network).is_none()) {
                    self.emulator.remove(kind, id_of(&document));
                    continue;
                }
                state.note(kind, &Some(document), What::Ids);
            }
        }
    }

    fn lose_one(&self, state: &mut State) {
        let kind = if state.random.one_in(2) { Kind::Endpoint } else { Kind::LoadBalancer };
        let own: Vec<Guid> = self.emulator.documents(kind).iter().map(id_of).collect();
        let own: Vec<Guid> = own.into_iter().filter(|id| !state.witness.foreign.contains(id)).collect();
        if let Some(id) = state.random.pick(&own).copied() {
            self.remove(state, kind, id);
        }
    }

    /// A write that timed out takes effect.
    fn make_late(&self, state: &mut State, call: Call, object: Option<Guid>) {
        let kind = match Write::of(&call, &state.handles) {
            Some(Write::CreateEndpoint(_) | Write::DeleteEndpoint(_)) => Kind::Endpoint,
            _ => Kind::LoadBalancer,
        };
        let before = object.and_then(|id| self.emulator.document(kind, id));
        state.note(kind, &before, What::Ids);
        let call = match call {
            Call::Modify { kind, settings, .. } => {
                let opened = object.map(|id| self.emulator.call(&Call::Open { kind, id }));
                let Some(Ok(Reply::Handle(handle))) = opened else { return };
                Call::Modify { kind, handle, settings }
            }
            // The handle of its network may be closed by now.
            Call::Create { kind: Kind::Endpoint, .. } => return,
            other => other,
        };
        let known: Vec<Guid> = self.emulator.documents(kind).iter().map(id_of).collect();
        let done = self.emulator.call(&call).is_ok();
        state.witness.log(format!("late: {call:?}: {done}"));
        let modified = self.emulator.documents(kind).into_iter().filter(|one| {
            let id = id_of(one);
            !known.contains(&id) || Some(id) == object
        });
        for document in modified {
            state.remember(kind, id_of(&document), &document);
            let what = if before.is_some() { What::Contents } else { What::Ids };
            state.note(kind, &Some(document), what);
        }
    }

    fn make(&self, state: &mut State, call: &Call, fault: Option<(Hresult, bool)>) -> Result<Reply, Error> {
        let write = Write::of(call, &state.handles);
        let object = object_of(call, &state.handles);
        let deleted = match &write {
            Some(Write::DeleteLoadBalancer(id)) => {
                self.emulator.document(Kind::LoadBalancer, *id).map(|one| serde_json::from_value(one).unwrap())
            }
            _ => None,
        };
        if let Some(write) = &write {
            state.witness.before(write, &self.emulator);
            let last = object.and_then(|(_, id)| state.documents.get(&id).cloned());
            let last: Option<LoadBalancer> = last.and_then(|one| serde_json::from_value(one).ok());
            state.witness.begin_write(write, deleted.as_ref().or(last.as_ref()));
        }
        let before = object.and_then(|(kind, id)| Some((kind, id, self.emulator.document(kind, id)?)));
        let made = match fault {
            Some((code, false)) => Err(Error::hns(call.function(), code)),
            _ => self.make_list(state, call),
        };
        let effective = made.as_ref().is_ok_and(|reply| !is_refusal(reply));
        let answer = match fault {
            Some((code, true)) => Err(Error::hns(call.function(), code)),
            _ => made,
        };
        if let (Ok(Reply::Handle(handle)), Some((_, id))) = (&answer, object) {
            state.handles.insert(*handle, id);
        }
        if answer.is_err() {
            state.mistaken = true;
            state.witness.had_error = true;
            if let Some(audit) = &mut state.audit {
                audit.1 = false;
            }
        }
        if let Some((kind, contents)) = list_of(call).filter(|_| answer.is_ok()) {
            state.witness.listed(kind);
            if let Some((_, _, lists)) = &mut state.audit {
                lists.endpoints |= kind == Kind::Endpoint;
                lists.load_balancers |= kind == Kind::LoadBalancer;
                lists.load_balancer_contents |= kind == Kind::LoadBalancer && contents;
            }
        }
        let created = match &write {
            Some(Write::CreateEndpoint(_)) => Some(Kind::Endpoint),
            Some(Write::CreateLoadBalancer(_)) => Some(Kind::LoadBalancer),
            _ => None,
        };
        if let (Err(error), Some(kind), true) = (&answer, created, effective) {
            let last = self.emulator.documents(kind).pop();
            let is_known = match error.class() {
                Class::Unavailable => true,
                // The process finds it by its id, unless HNS has chosen another one.
                Class::Other | Class::Exists => last.as_ref().is_some_and(|one| proxy::identity::is_ours(id_of(one))),
                // HNS says that it refused what it has created.
                _ => false,
            };
            if !is_known {
                state.note(kind, &last, What::Ids);
            }
        }
        if let (Err(_), Some(kind), true) = (&answer, created, effective) {
            // The process does not learn the id that HNS has chosen, and takes the object for one of another program.
            let last = self.emulator.documents(kind).last().map(id_of);
            state.witness.foreign.extend(last.filter(|id| !proxy::identity::is_ours(*id)));
        }
        if let (Err(error), Some((kind, _, document))) = (&answer, &before) {
            // HNS says what is not true: that an object is absent, or that it refused a write which it has made.
            let lie = match error.class() {
                // What was modified exists, unless the error is about a backend.
                Class::Absent if matches!(write, Some(Write::ModifyLoadBalancer(..))) => {
                    error.code() != Some(Hresult::HCN_E_ENDPOINT_NOT_FOUND)
                }
                Class::Absent => !effective,
                Class::Invalid | Class::Unsupported => effective,
                _ => false,
            };
            if lie {
                state.note(*kind, &Some(document.clone()), What::Ids);
                state.note(*kind, &Some(document.clone()), What::Contents);
            }
        }
        if let (Ok(Reply::Handle(handle)), Some(kind)) = (&answer, created) {
            state.created.extend(self.emulator.documents(kind).last().map(|one| (*handle, id_of(one))));
        }
        if let (Call::Query { handle, .. }, Err(_)) = (call, &answer) {
            // The process does not learn the id of what it has created. It creates another, and this one stays.
            let id = state.created.get(handle).copied();
            state.witness.foreign.extend(id.filter(|id| !proxy::identity::is_ours(*id)));
        }
        if write.is_none() {
            let failure = answer.as_ref().err().map(Error::class);
            state.witness.read(call, object, failure, state.audit.is_some(), &self.emulator);
            let what = if let Call::Hns { path, .. } = call { path } else { call.function() };
            let outcome = answer.as_ref().err().map(|error| format!(": {error}")).unwrap_or_default();
            state.witness.log(format!("    {what}{outcome}"));
        }
        if let Some(write) = &write {
            let refusal = answer.as_ref().is_ok_and(is_refusal).then(|| Error::Envelope {
                method: "",
                path: String::new(),
                message: "refused".to_owned(),
            });
            let said = refusal.as_ref().map_or(answer.as_ref().map(drop), Err);
            state.witness.log(format!(
                "{write:?}: {}",
                match (&said, effective) {
                    (Ok(()), _) => "done".to_owned(),
                    (Err(error), true) => format!("done, but {error}"),
                    (Err(error), false) => error.to_string(),
                }
            ));
            if effective {
                state.bury(before);
                state.learn(&self.emulator, write);
            }
            state.witness.after(write, effective, said, deleted, &self.emulator);
        }
        if let Some(Write::DeleteEndpoint(id)) = &write {
            // HNS may say that an endpoint is gone, and keep it.
            let kept = self.emulator.document(Kind::Endpoint, *id);
            let says_gone = match &answer {
                Ok(reply) => !is_refusal(reply),
                Err(error) => error.class() == Class::Absent,
            };
            if kept.is_some() && says_gone {
                state.note(Kind::Endpoint, &kept, What::Ids);
                // If HNS chose its id, the process counts it as foreign when it is listed again.
                state.witness.foreign.extend(Some(*id).filter(|id| !proxy::identity::is_ours(*id)));
            }
        }
        answer
    }
}

pub(super) fn id_of(document: &Value) -> Guid {
    document["ID"].as_str().unwrap().parse().unwrap()
}

fn with_id(mut document: Value, id: Guid) -> Value {
    document["ID"] = Value::String(id.to_string());
    document
}

impl Hcn for Hns {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        if !call.is_counted() {
            return self.emulator.call(call);
        }
        // Calls take no time here. Without the yield, one thread would often finish a job before the next thread begins.
        std::thread::yield_now();
        let mut state = self.state();
        state.clock += 1;
        let was_dead = state.dead;
        self.advance(&mut state);
        let hangs = state.dead && !was_dead && state.random.one_in(2);
        if state.dead {
            // The process makes no calls any more. It may have left a call behind that hung.
            if hangs && call.is_write() {
                let object = object_of(call, &state.handles).map(|(_, id)| id);
                let calls = state.random.below(25);
                state.late.push((calls, call.clone(), object));
            }
            return Err(Error::hns(call.function(), Hresult::RPC_S_CALL_FAILED));
        }
        let fault = Self::fault(&mut state, call);
        let is_late = fault.is_none() && state.armed && state.faults.late && call.is_write() && state.random.one_in(40);
        if is_late {
            let object = object_of(call, &state.handles).map(|(_, id)| id);
            let calls = state.random.below(25);
            state.late.push((calls, call.clone(), object));
            return self.make(&mut state, call, Some((Hresult::ERROR_TIMEOUT, false)));
        }
        self.make(&mut state, call, fault)
    }
}
