//! `emulator`: serves an emulated HNS over TCP, to any number of clients.

use std::sync::mpsc;

use hcn_emulator::Build;
use hcn_emulator::service::Service;

use super::IN_SYNC;
use super::probe::like;
use crate::cli::EmulatorArgs;
use crate::error::CommandError;
use crate::hns;
use crate::shutdown::Shutdown;

pub(super) fn main(args: &EmulatorArgs) -> Result<u8, CommandError> {
    let (mut facts, emulator) = hns::emulator(args.host.as_deref())?;
    if let Some(Build { name, version, quirks }) = &args.build {
        emulator.change_build(Build { name: name.clone(), version: *version, quirks: quirks.clone() });
        facts.hns_version.clone_from(name);
    }
    if let Some(path) = &args.like {
        let invalid = |reason| CommandError::Survey { path: path.clone(), reason };
        facts.hns_version = like::apply(&like::read(path)?, &emulator).map_err(invalid)?;
    }
    let listen = |source| CommandError::Listen { address: args.listen.clone(), source };
    let service = Service::bind(args.listen.as_str(), emulator).map_err(listen)?.with_facts(&facts);
    let running = service.spawn().map_err(listen)?;
    let (sender, requested) = mpsc::channel();
    let shutdown = Shutdown::on_signals()?;
    shutdown.on_request(move || {
        let _ = sender.send(());
    });
    tracing::info!(address = %running.address(), version = facts.hns_version, "emulated HNS listening; this is not a real HNS");
    // The handler of the signals keeps the sender for as long as the process lives.
    let _ = requested.recv();
    running.stop();
    Ok(IN_SYNC)
}
