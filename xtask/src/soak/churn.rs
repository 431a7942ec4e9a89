//! Changes of the cluster, in an order that only the seed determines.

use std::collections::VecDeque;

use anyhow::Result;
use fastrand::Rng;
use test_api_server::ApiServer;

use super::world::{BackendState, World};

/// One in this many changes is a burst.
const BURST_EVERY: u32 = 200;
/// The part of the Services that a burst changes: one in this many.
const BURST_PART: usize = 5;
/// One in this many changes begins a rolling update.
const ROLLING_UPDATE_EVERY: u32 = 10;

#[derive(Debug)]
pub(super) struct Churn {
    random: Rng,
    /// The next steps of rolling updates.
    updates: VecDeque<Update>,
}

/// A rolling update in progress: the next backend to replace.
#[derive(Debug)]
struct Update {
    place: usize,
    backend: usize,
    /// Whether the backend terminates already.
    terminating: bool,
}

/// What of a place changed.
enum Changed {
    Nothing,
    Service,
    Slices,
    /// The first is written first.
    ServiceThenSlices,
    SlicesThenService,
}

impl Churn {
    pub(super) fn new(random: Rng) -> Self {
        Self { random, updates: VecDeque::new() }
    }

    /// Makes the next change, and writes it to the API server.
    pub(super) fn step(&mut self, world: &mut World, server: &ApiServer) -> Result<()> {
        if self.random.u32(..BURST_EVERY) == 0 {
            for _ in 0..world.places() / BURST_PART {
                let place = self.random.usize(..world.places());
                self.scale(world, place);
                world.put_slices(server, place)?;
            }
            return Ok(());
        }
        // Half of the steps continue rolling updates, so that several are in progress at the same time.
        if self.random.bool()
            && let Some(update) = self.updates.pop_front()
        {
            return self.roll(update, world, server);
        }
        let place = self.random.usize(..world.places());
        if self.random.u32(..ROLLING_UPDATE_EVERY) == 0 && world.service(place).is_some() {
            self.updates.push_back(Update { place, backend: 0, terminating: false });
            return Ok(());
        }
        match self.change(world, place) {
            Changed::Nothing => {}
            Changed::Service => world.put_service(server, place)?,
            Changed::Slices => world.put_slices(server, place)?,
            Changed::ServiceThenSlices => {
                world.put_service(server, place)?;
                world.put_slices(server, place)?;
            }
            Changed::SlicesThenService => {
                world.put_slices(server, place)?;
                world.put_service(server, place)?;
            }
        }
        Ok(())
    }

    fn change(&mut self, world: &mut World, place: usize) -> Changed {
        let both = if self.random.bool() { Changed::ServiceThenSlices } else { Changed::SlicesThenService };
        if world.service(place).is_none() {
            let service = world.new_service(&mut self.random);
            world.set(place, Some(service));
            return both;
        }
        let kind = self.random.u8(..100);
        if kind < 5 {
            // Its place gets a new Service soon, so the size of the cluster stays about the same.
            world.set(place, None);
            return both;
        }
        if kind < 15 {
            self.change_local_pods(world, place);
            return Changed::Slices;
        }
        if kind < 50 {
            self.scale(world, place);
            return Changed::Slices;
        }
        let Some(service) = world.service_mut(place) else { return Changed::Nothing };
        match kind {
            ..60 => {
                let Some(backend) = self.random.choice(&mut service.backends) else { return Changed::Nothing };
                backend.state =
                    if backend.state == BackendState::Ready { BackendState::Unready } else { BackendState::Ready };
                return Changed::Slices;
            }
            60..65 => service.port = self.random.u16(80..90),
            65..70 => {
                service.target_port = self.random.u16(8080..8090);
                return both;
            }
            70..75 => {
                service.with_udp = !service.with_udp;
                return both;
            }
            75..80 => service.with_node_port = !service.with_node_port,
            80..85 => service.with_external_ip = !service.with_external_ip,
            85..90 => service.only_local = !service.only_local,
            90..95 => service.with_affinity = !service.with_affinity,
            _ => {
                service.slices = 3 - service.slices;
                return Changed::Slices;
            }
        }
        Changed::Service
    }

    /// Adds or removes a remote backend.
    fn scale(&mut self, world: &mut World, place: usize) {
        let added = world.new_remote_backend();
        let Some(service) = world.service_mut(place) else { return };
        // Up to eight, and sometimes none.
        if self.random.usize(..8) >= service.backends.len() {
            service.backends.push(added);
        } else {
            let removed = self.random.usize(..service.backends.len());
            service.backends.swap_remove(removed);
        }
    }

    /// Adds a local pod, or removes one.
    fn change_local_pods(&mut self, world: &mut World, place: usize) {
        let added = world.new_local_backend(&mut self.random);
        let Some(service) = world.service_mut(place) else { return };
        if let Some(removed) = service.backends.iter().position(|backend| backend.local) {
            service.backends.swap_remove(removed);
        } else {
            service.backends.extend(added);
        }
    }

    /// One step of a rolling update: a backend begins to terminate beside its successor, or has ended.
    fn roll(&mut self, update: Update, world: &mut World, server: &ApiServer) -> Result<()> {
        let Update { place, backend, terminating } = update;
        let successor = world.new_remote_backend();
        let Some(service) = world.service_mut(place) else { return Ok(()) };
        let Some(old) = service.backends.get_mut(backend) else { return Ok(()) };
        if terminating {
            // The successor, which is last, takes the place of the old one.
            service.backends.swap_remove(backend);
            self.updates.push_back(Update { place, backend: backend + 1, terminating: false });
        } else {
            old.state = BackendState::Terminating;
            service.backends.push(successor);
            self.updates.push_back(Update { place, backend, terminating: true });
        }
        world.put_slices(server, place)
    }
}
