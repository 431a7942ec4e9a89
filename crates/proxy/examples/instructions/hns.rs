//! The emulated HNS. Its own instructions and allocations are not counted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hcn::Error;
use hcn::call::{Call, Hcn, Reply};
use hcn_emulator::Emulator;

use crate::allocations::Allocations;
use crate::collect::collect_off;

pub(crate) struct Uncounted {
    emulator: Emulator,
    /// The allocations of the emulator.
    allocations: Mutex<Allocations>,
}

impl Uncounted {
    pub(crate) fn new(emulator: Emulator) -> Self {
        Self { emulator, allocations: Mutex::default() }
    }

    /// The allocations since the start of the process, without those of the emulator.
    pub(crate) fn other_allocations(&self) -> Allocations {
        Allocations::now() - *self.allocations()
    }

    fn allocations(&self) -> MutexGuard<'_, Allocations> {
        self.allocations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn uncounted(&self, work: &mut dyn FnMut()) {
        collect_off(&mut || {
            let before = Allocations::now();
            work();
            *self.allocations() += Allocations::now() - before;
        });
    }
}

impl Hcn for Uncounted {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let mut reply = None;
        self.uncounted(&mut || reply = Some(self.emulator.call(call)));
        // The caller frees the reply, so its allocation must count, too. On Windows, converting the text of HNS allocates the reply.
        let counted = reply.clone();
        self.uncounted(&mut || reply = None);
        counted.expect("the emulator was called")
    }
}
