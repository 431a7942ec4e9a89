//! `emulator`: an emulated HNS at a TCP address, for any number of programs at once.

use std::sync::mpsc;

use hcn_emulator::Build;
use hcn_emulator::service::Service;

use super::CONVERGED;
use crate::cli::EmulatorArgs;
use crate::end::End;
use crate::error::CommandError;
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
    // The word's keeper has the other end of the channel for as long as the process lives.
    let word = End::by_signals()?;
    word.when_told(move || {
        let _ = end.send(());
    });
    tracing::info!("emulated HNS {} at {}; this is no real HNS", facts.hns_version, running.address());
    let _ = ended.recv();
    running.stop();
    Ok(CONVERGED)
}
