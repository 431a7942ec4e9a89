//! `emulator`: an emulated HNS at a TCP address, for any number of programs at once.

use std::sync::mpsc;

use hcn_emulator::Build;
use hcn_emulator::service::Service;

use super::{CONVERGED, CommandError};
use crate::cli::EmulatorArgs;
use crate::hns;

pub(super) fn main(args: &EmulatorArgs) -> Result<u8, CommandError> {
    let (mut facts, emulator) = hns::emulator(args.host.as_deref())?;
    if let Some(Build { name, version, quirks }) = &args.build {
        emulator.change_build(Build { name: name.clone(), version: *version, quirks: quirks.clone() });
        facts.hns_version.clone_from(name);
    }
    let listen = |source| CommandError::Listen { address: args.listen.clone(), source };
    let service = Service::bind(args.listen.as_str(), emulator).map_err(listen)?.with_facts(&facts);
    let running = service.spawn().map_err(listen)?;
    let (end, ended) = mpsc::channel();
    ctrlc::set_handler(move || {
        // Nobody to be told means that it has ended already.
        let _ = end.send(());
    })?;
    tracing::info!("emulated HNS {} at {}; this is no real HNS", facts.hns_version, running.address());
    // The handler keeps its end of the channel for as long as the process lives.
    let _ = ended.recv();
    running.stop();
    Ok(CONVERGED)
}
