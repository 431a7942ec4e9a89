//! An HNS with faults of every kind, which checks each write.

use std::sync::{Arc, Mutex, MutexGuard};

use hcn::call::{Call, Hcn, Reply};
use hcn::{Class, Error, Guid, Hresult, Kind};
use hcn_emulator::Emulator;
use serde_json::Value;

/// Numbers that depend on a seed alone (xorshift).
#[derive(Debug, Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// An address, or the node's, and a port.
type Frontend = (Option<String>, u16);

pub(super) struct Chaos {
    emulator: Arc<Emulator>,
    state: Mutex<State>,
}

struct State {
    random: Random,
    armed: bool,
    dead: bool,
    /// The number of calls for which HNS is unavailable.
    away: u64,
    /// The number of calls after which lost objects reappear.
    reappears: Option<u64>,
    /// Whether calls come one after the other, so that one follows another.
    ordered: bool,
    /// Whether the previous load balancer of a replacement is always known, so that it can be restored.
    puts_back: bool,
    others: Vec<(Kind, Guid, Value)>,
    serving: Vec<Frontend>,
    /// Frontends whose load balancer HNS has lost.
    lost: Vec<Frontend>,
    /// A frontend whose load balancer was deleted by the last write.
    released: Option<Frontend>,
    /// Whether its successor was refused.
    refused: bool,
    complaints: Vec<String>,
}

const CODES: [Hresult; 9] = [
    Hresult::RPC_S_CALL_FAILED,
    Hresult::RPC_S_SERVER_UNAVAILABLE,
    Hresult::HCN_E_PORT_NOT_FOUND,
    Hresult::HCN_E_PORT_ALREADY_EXISTS,
    Hresult::E_OUTOFMEMORY,
    Hresult::ERROR_GEN_FAILURE,
    Hresult::HCN_E_MANAGER_STOPPED,
    Hresult::HCN_E_INVALID_POLICY,
    Hresult::E_ACCESSDENIED,
];

impl Chaos {
    /// All objects that exist now are foreign.
    pub(super) fn new(emulator: Arc<Emulator>, random: Random, ordered: bool, puts_back: bool) -> Self {
        let others = [Kind::Endpoint, Kind::LoadBalancer]
            .into_iter()
            .flat_map(|kind| emulator.documents(kind).into_iter().map(move |document| (kind, id(&document), document)));
        let state = State {
            random,
            armed: true,
            dead: false,
            away: 0,
            reappears: None,
            ordered,
            puts_back,
            others: others.collect(),
            serving: Vec::new(),
            lost: Vec::new(),
            released: None,
            refused: false,
            complaints: Vec::new(),
        };
        Self { emulator, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn random<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.state().random)
    }

    /// From now on these frontends have ready backends.
    pub(super) fn expect(&self, serving: Vec<Frontend>) {
        self.state().serving = serving;
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state().dead
    }

    pub(super) fn revive(&self) {
        let mut state = self.state();
        state.dead = false;
        state.released = None;
    }

    /// The faults end.
    pub(super) fn calm(&self) {
        let mut state = self.state();
        state.armed = false;
        (state.away, state.reappears) = (0, None);
        self.emulator.start();
        self.emulator.reappear();
        drop(state);
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.state().complaints.clone()
    }

    /// Something may happen before a call; answers how the call fails, done or not.
    fn misfortune(&self, state: &mut State, call: &Call) -> Option<(Hresult, bool)> {
        if state.away > 0 {
            state.away -= 1;
            if state.away == 0 {
                self.emulator.start();
            }
        }
        if let Some(calls) = state.reappears {
            state.reappears = calls.checked_sub(1);
            if calls == 0 {
                self.emulator.reappear();
            }
        }
        if !state.armed {
            return None;
        }
        match state.random.below(1000) {
            0..70 => Some((CODES[usize::try_from(state.random.below(9)).unwrap()], false)),
            70..100 if call.is_write() => Some((CODES[usize::try_from(state.random.below(9)).unwrap()], true)),
            100..106 => {
                self.restart(state);
                None
            }
            106..116 => {
                self.lose_one(state);
                None
            }
            116..122 => {
                state.dead = true;
                None
            }
            _ => None,
        }
    }

    /// HNS restarts and loses some objects of ours. Foreign ones stay.
    fn restart(&self, state: &mut State) {
        if state.away > 0 || state.reappears.is_some() {
            return;
        }
        state.away = 1 + state.random.below(6);
        let lost: &[Kind] = match state.random.below(3) {
            0 => &[],
            1 => &[Kind::LoadBalancer],
            _ => &[Kind::LoadBalancer, Kind::Endpoint],
        };
        self.emulator.stop(lost);
        for (kind, _, document) in &state.others {
            self.emulator.add(*kind, document.clone());
        }
        state.reappears = (state.random.below(2) == 0).then(|| state.away + state.random.below(20));
    }

    fn lose_one(&self, state: &mut State) {
        let kind = if state.random.below(2) == 0 { Kind::Endpoint } else { Kind::LoadBalancer };
        let ours: Vec<_> =
            self.emulator.documents(kind).iter().map(id).filter(|id| proxy::identity::is_ours(*id)).collect();
        if !ours.is_empty() {
            let index = state.random.below(u64::try_from(ours.len()).unwrap());
            let id = ours[usize::try_from(index).unwrap()];
            if kind == Kind::LoadBalancer {
                state.lost.push(frontend(&self.emulator.document(kind, id).unwrap()));
            }
            self.emulator.remove(kind, id);
        }
    }

    /// Watches a write that was made: `before` is the load balancer that it deletes.
    fn watch(&self, state: &mut State, call: &Call, before: Option<&Value>, result: &Result<Reply, Error>) {
        for (kind, id, document) in &state.others {
            if self.emulator.document(*kind, *id).as_ref() != Some(document) {
                state.complaints.push(format!("{kind:?} {id} is foreign and was touched by {}", call.function()));
            }
        }
        let created = match call {
            Call::Create { kind: Kind::LoadBalancer, settings, .. } => {
                Some(frontend(&serde_json::from_str(settings).unwrap()))
            }
            _ => None,
        };
        if let Some(released) = state.released.take().filter(|released| created.as_ref() != Some(released)) {
            state.complaints.push(format!("{released:?} was left without a load balancer for {}", call.function()));
        }
        if let Some(created) = created.filter(|_| result.is_ok()) {
            state.lost.retain(|lost| *lost != created);
        }
        let deleted = before.map(frontend).filter(|_| matches!(call, Call::Delete { .. }) && result.is_ok());
        if let Some(deleted) = deleted
            && state.ordered
            && state.serving.contains(&deleted)
            && !state.lost.contains(&deleted)
            && !self.emulator.documents(Kind::LoadBalancer).iter().any(|document| frontend(document) == deleted)
        {
            (state.released, state.refused) = (Some(deleted), false);
        }
    }
}

fn id(document: &Value) -> Guid {
    document["ID"].as_str().unwrap().parse().unwrap()
}

fn frontend(document: &Value) -> Frontend {
    let port = document["PortMappings"][0]["ExternalPort"].as_u64().unwrap();
    (document["FrontendVIPs"][0].as_str().map(str::to_owned), u16::try_from(port).unwrap())
}

impl Hcn for Chaos {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let mut state = self.state();
        let refused = |code| Err(Error::hns(call.function(), code));
        let misfortune = self.misfortune(&mut state, call);
        if state.dead {
            // The process has died: it makes no calls any more.
            return refused(Hresult::RPC_S_CALL_FAILED);
        }
        if let Some((code, false)) = misfortune {
            // A second refusal in a row, or an outage, may leave a frontend without a load balancer.
            let creates = matches!(call, Call::Create { kind: Kind::LoadBalancer, .. });
            if creates && (state.refused || !state.puts_back) || code.class() == Class::Unavailable {
                state.released = None;
            }
            state.refused = creates;
            return refused(code);
        }
        let before = match call {
            Call::Delete { kind: Kind::LoadBalancer, id } => self.emulator.document(Kind::LoadBalancer, *id),
            _ => None,
        };
        let result = self.emulator.call(call);
        if call.is_write() {
            let result = misfortune.map_or(result, |(code, _)| refused(code));
            self.watch(&mut state, call, before.as_ref(), &result);
            return result;
        }
        result
    }
}
