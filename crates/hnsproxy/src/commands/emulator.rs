//! `emulator`: serves an emulated HNS over TCP, to any number of clients.

use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use cluster_source::{error_chain, read_text};
use hcn_emulator::feed::Closer;
use hcn_emulator::recording::{Header, RecordError, Writer};
use hcn_emulator::service::Service;
use hcn_emulator::{Build, Emulator, Host, like};
use hcn_survey::Survey;

use super::IN_SYNC;
use crate::cli::EmulatorArgs;
use crate::error::CommandError;
use crate::hns;
use crate::shutdown::Shutdown;

/// The number of changes that may wait for the disk.
const RECORDING_CAPACITY: usize = 1 << 20;

pub(super) fn main(args: &EmulatorArgs) -> Result<u8, CommandError> {
    let (mut facts, emulator) = hns::emulator(args.host.as_deref())?;
    if let Some(Build { name, version, quirks }) = &args.build {
        emulator.change_build(Build { name: name.clone(), version: *version, quirks: quirks.clone() });
        facts.hns_version.clone_from(name);
    }
    if let Some(path) = &args.like {
        let invalid = |reason| CommandError::Survey { path: path.clone(), reason };
        let survey = read_survey(path).map_err(invalid)?;
        facts.hns_version = like::apply(&survey, &emulator).map_err(invalid)?;
    }
    emulator.change_options(|options| {
        options.pace = args.pace;
        options.accepts_unknown_members |= args.accept_unknown_members;
    });
    let recording = args.record.as_deref().map(|path| Recording::begin(path, &emulator, &facts)).transpose()?;
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
    recording.map_or(Ok(()), Recording::end)?;
    Ok(IN_SYNC)
}

fn read_survey(path: &Path) -> Result<Survey, String> {
    let text = read_text(path).map_err(|error| error.to_string())?;
    Survey::from_json(text.strip_prefix('\u{feff}').unwrap_or(&text)).map_err(|error| error.to_string())
}

/// A recording of changes, which a thread writes.
struct Recording {
    closer: Closer,
    thread: JoinHandle<Result<(), CommandError>>,
}

impl Recording {
    fn begin(path: &Path, emulator: &Emulator, facts: &Host) -> Result<Self, CommandError> {
        let path = path.to_owned();
        let named = path.clone();
        let error = move |source: RecordError| CommandError::Record { path: named.clone(), source };
        let about = concat!("hnsproxy emulator ", env!("CARGO_PKG_VERSION"));
        let writer = Writer::create(&path, &Header::new(about, facts)).map_err(|source| error(source.into()))?;
        let feed = emulator.follow(RECORDING_CAPACITY);
        let closer = feed.closer();
        let record =
            move || writer.record(&feed).map_err(error).inspect_err(|error| tracing::error!("{}", error_chain(error)));
        let thread = thread::Builder::new().name("recording".into()).spawn(record).map_err(CommandError::Background)?;
        Ok(Self { closer, thread })
    }

    /// Completes the file.
    fn end(self) -> Result<(), CommandError> {
        self.closer.close();
        // The panic hook has ended the process if the thread panicked.
        self.thread.join().unwrap_or(Ok(()))
    }
}
