//! Faults of HNS and of the API server, one of each at a time, with pauses between them.

use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use hcn::{Guid, Hresult, Kind};
use hcn_emulator::Emulator;
use hcn_emulator::faults::{Effect, Fault, Which};
use serde_json::Value;
use test_api_server::{ApiServer, FaultMode};

use super::observed::{Foreign, frontend, id};
use super::state::Key;
use super::world::World;
use crate::outage::{OUTAGES, Outage};

/// The pause between two faults of one side, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 3000..15_000;
/// How long a fault lasts, in milliseconds.
const LENGTH_MS: std::ops::Range<u64> = 1000..10_000;

/// How long a hung call lasts, in milliseconds: also longer than readiness may take to notice.
const HUNG_MS: std::ops::Range<u64> = 1000..30_000;

/// The alternation of faults and pauses on one side.
#[derive(Debug)]
pub(super) struct Faults<F> {
    random: Rng,
    /// The current fault; `None` in a pause.
    current: Option<F>,
    /// The end of the fault or pause.
    until: Duration,
    /// The end of the last fault.
    last: Option<Duration>,
    pub(super) count: u64,
}

/// What a turn of [`Faults`] begins or ends.
pub(super) enum Turn<F> {
    Begin(F),
    End(F),
}

impl<F: Copy> Faults<F> {
    pub(super) fn new(mut random: Rng) -> Self {
        let until = Duration::from_millis(random.u64(PAUSE_MS));
        Self { random, current: None, until, last: None, count: 0 }
    }

    pub(super) fn current(&self) -> Option<F> {
        self.current
    }

    /// Begins or ends a fault if that is due.
    ///
    /// `choose` returns a fault, and how long it lasts.
    pub(super) fn turn(&mut self, now: Duration, choose: impl FnOnce(&mut Rng) -> (F, Duration)) -> Option<Turn<F>> {
        if now < self.until {
            return None;
        }
        if let Some(ended) = self.current.take() {
            self.until = now + Duration::from_millis(self.random.u64(PAUSE_MS));
            self.last = Some(now);
            return Some(Turn::End(ended));
        }
        let (fault, length) = choose(&mut self.random);
        self.until = now + length;
        (self.current, self.count) = (Some(fault), self.count + 1);
        Some(Turn::Begin(fault))
    }

    /// Ends the current fault, for the end of the test.
    pub(super) fn end(&mut self, now: Duration) -> Option<F> {
        let ended = self.current.take();
        if ended.is_some() {
            self.last = Some(now);
        }
        ended
    }

    /// Whether no fault was in effect at or after a time.
    pub(super) fn none_since(&self, time: Duration) -> bool {
        self.current.is_none() && self.last.is_none_or(|last| last < time)
    }
}

/// A fault of HNS, or a change by another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HnsFault {
    Slow,
    /// One call returns at the end of the fault.
    Hung(Duration),
    Refusing,
    Unavailable,
    RestartWithLoss,
    RestartWithLateObjects,
    ForeignDeletes,
    ForeignChanges,
}

impl HnsFault {
    /// Chooses a fault, and how long it lasts.
    pub(super) fn choose(random: &mut Rng) -> (Self, Duration) {
        let length = Duration::from_millis(random.u64(LENGTH_MS));
        let hung = Duration::from_millis(random.u64(HUNG_MS));
        match random.u8(..8) {
            0 => (Self::Slow, length),
            1 => (Self::Hung(hung), hung),
            2 => (Self::Refusing, length),
            3 => (Self::Unavailable, length),
            4 => (Self::RestartWithLoss, length),
            5 => (Self::RestartWithLateObjects, length),
            6 => (Self::ForeignDeletes, length),
            _ => (Self::ForeignChanges, length),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow writes",
            Self::Hung(_) => "hung call",
            Self::Refusing => "refused writes",
            Self::Unavailable => "unavailable",
            Self::RestartWithLoss => "restart with loss",
            Self::RestartWithLateObjects => "restart with late objects",
            Self::ForeignDeletes => "foreign deletes",
            Self::ForeignChanges => "foreign changes",
        }
    }

    /// Whether HNS refuses calls, also those of a CNI plugin.
    pub(super) const fn stops_hns(self) -> bool {
        matches!(self, Self::Unavailable | Self::RestartWithLoss | Self::RestartWithLateObjects)
    }

    /// Begins the fault, and returns the frontends that another program has changed in place.
    pub(super) fn begin(self, emulator: &Emulator, foreign: &Foreign, random: &mut Rng) -> Vec<Key> {
        let inject = |which, every, effect| emulator.inject(Fault { which, from: 1, every, effect });
        match self {
            Self::Slow => inject(Which::Writes, 1, Effect::Delay(Duration::from_millis(random.u64(10..60)))),
            Self::Hung(length) => inject(Which::Any, 0, Effect::Delay(length)),
            Self::Refusing => inject(Which::Writes, 3, Effect::Fail(REFUSED)),
            Self::Unavailable => emulator.stop(&[]),
            Self::RestartWithLoss => {
                emulator.stop(&[]);
                let part = random.u8(1..=2);
                for kind in [Kind::LoadBalancer, Kind::Endpoint] {
                    for id in ids(emulator, kind, foreign) {
                        if random.u8(..part) == 0 {
                            emulator.remove(kind, id);
                        }
                    }
                }
            }
            Self::RestartWithLateObjects => emulator.stop(&[Kind::LoadBalancer, Kind::Endpoint]),
            Self::ForeignDeletes => {
                for kind in [Kind::LoadBalancer, Kind::Endpoint] {
                    for id in chosen(emulator, kind, foreign, random) {
                        emulator.remove(kind, id);
                    }
                }
            }
            Self::ForeignChanges => return change_in_place(emulator, foreign, random),
        }
        Vec::new()
    }

    /// Ends the fault.
    pub(super) fn end(self, emulator: &Emulator) {
        match self {
            Self::Slow | Self::Hung(_) | Self::Refusing => emulator.clear_faults(),
            Self::Unavailable | Self::RestartWithLoss => emulator.start(),
            Self::RestartWithLateObjects => {
                emulator.start();
                // Long enough for an audit to find that everything is gone.
                std::thread::sleep(Duration::from_millis(500));
                emulator.reappear();
            }
            Self::ForeignDeletes | Self::ForeignChanges => {}
        }
    }
}

/// The code of a refused write: an error that says nothing about the object.
const REFUSED: Hresult = Hresult::ERROR_GEN_FAILURE;

/// The ids of all objects of a kind except foreign ones.
fn ids(emulator: &Emulator, kind: Kind, foreign: &Foreign) -> Vec<Guid> {
    let documents = emulator.documents(kind);
    documents.iter().filter_map(id).filter(|id| foreign.iter().all(|(_, foreign, _)| foreign != id)).collect()
}

/// The ids of up to five objects of a kind.
fn chosen(emulator: &Emulator, kind: Kind, foreign: &Foreign, random: &mut Rng) -> Vec<Guid> {
    let count = random.usize(1..=5);
    random.choose_multiple(ids(emulator, kind, foreign), count)
}

/// Removes a backend from load balancers, or changes their port.
fn change_in_place(emulator: &Emulator, foreign: &Foreign, random: &mut Rng) -> Vec<Key> {
    let mut changed = Vec::new();
    for id in chosen(emulator, Kind::LoadBalancer, foreign, random) {
        let Some(mut document) = emulator.document(Kind::LoadBalancer, id) else { continue };
        changed.push(frontend(&document));
        let backends = document.pointer_mut("/HostComputeEndpoints").and_then(Value::as_array_mut);
        match backends.filter(|backends| backends.len() > 1) {
            Some(backends) => {
                backends.pop();
            }
            None => {
                if let Some(port) = document.pointer_mut("/PortMappings/0/InternalPort") {
                    *port = 1.into();
                }
            }
        }
        emulator.replace(Kind::LoadBalancer, id, document);
    }
    changed
}

/// A fault of the API server.
#[derive(Clone, Copy)]
pub(super) enum ApiFault {
    Outage(&'static Outage),
    /// It continues from an older backup with lower resource versions.
    RestoredBackup,
    /// As [`Self::RestoredBackup`], with invalid answers until the end of the fault.
    InvalidThenRestored,
}

impl ApiFault {
    /// Chooses a fault, and how long it lasts.
    pub(super) fn choose(random: &mut Rng) -> (Self, Duration) {
        let fault = match random.u8(..12) {
            0 => Self::RestoredBackup,
            1 => Self::InvalidThenRestored,
            _ => random.choice(&OUTAGES).map_or(Self::RestoredBackup, Self::Outage),
        };
        (fault, Duration::from_millis(random.u64(LENGTH_MS)))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Outage(outage) => outage.name,
            Self::RestoredBackup => "restored backup",
            Self::InvalidThenRestored => "invalid answers, then a restored backup",
        }
    }

    /// Begins the fault. `backup` is the cluster at an earlier time.
    pub(super) fn begin(self, server: &ApiServer, world: &mut World, backup: &World) -> Result<()> {
        match self {
            Self::Outage(outage) => (outage.begin)(server),
            Self::RestoredBackup => {
                *world = backup.clone();
                server.restore(world.objects().into())?;
            }
            Self::InvalidThenRestored => {
                server.set_fault_mode(FaultMode::Garbage);
                *world = backup.clone();
                server.restore(world.objects().into())?;
            }
        }
        Ok(())
    }

    pub(super) fn end(self, server: &ApiServer) -> Result<()> {
        match self {
            Self::Outage(outage) => (outage.end)(server),
            Self::RestoredBackup => Ok(()),
            Self::InvalidThenRestored => {
                server.set_fault_mode(FaultMode::None);
                Ok(())
            }
        }
    }
}
