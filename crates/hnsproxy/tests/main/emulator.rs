//! `hnsproxy emulator`: what its flags do.

use std::net::SocketAddr;
use std::process::{Child, Stdio};

use hcn::Kind;
use hcn_emulator::builds::{Options, Pace};
use hcn_emulator::feed::What;
use hcn_emulator::{Change, Control, recording};
use serde_json::json;

use crate::support::program::{command, free_addresses, hnsproxy};
use crate::support::wait::wait_until;

/// A served emulator. Killed when dropped.
struct Emulator {
    child: Child,
    address: SocketAddr,
}

impl Emulator {
    fn start(flags: &[&str]) -> Self {
        let [address] = free_addresses();
        let listen = format!("--listen={address}");
        let mut command = command(&[&["emulator", &listen], flags].concat());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let emulator = Self { child, address };
        wait_until("the emulator", || emulator.control().facts().is_ok(), |serves| *serves);
        emulator
    }

    fn control(&self) -> Control {
        Control::connect_lazily(self.address.to_string())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[test]
fn a_recording_has_all_changes_until_the_shutdown() {
    use rustix::process::{Pid, Signal, kill_process};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording.jsonl.gz");
    let mut emulator = Emulator::start(&["--record", path.to_str().unwrap()]);
    let control = emulator.control();
    let id = control.add(Kind::Namespace, json!({"Type": "Guest"})).unwrap();
    control.stop(&[]).unwrap();
    control.start().unwrap();
    control.remove(Kind::Namespace, id).unwrap();
    kill_process(Pid::from_child(&emulator.child), Signal::TERM).unwrap();
    assert!(emulator.child.wait().unwrap().success());
    let reader = recording::open(&path).unwrap();
    assert_eq!(reader.header().host.hns_version, "15.5");
    let changes: Vec<Change> = reader.map(Result::unwrap).collect();
    let [network, initial, stored, rest @ ..] = changes.as_slice() else { panic!("{changes:?}") };
    assert!(matches!(network.what, What::Stored { kind: Kind::Network, .. }), "{network:?}");
    assert_eq!(initial.what, What::InitialStateEnd);
    assert!(matches!(stored.what, What::Stored { kind: Kind::Namespace, id: of, .. } if of == id), "{stored:?}");
    let rest: Vec<&What> = rest.iter().map(|change| &change.what).collect();
    let removed = What::Removed { kind: Kind::Namespace, id };
    assert_eq!(rest, [&What::ServiceStopped, &What::ServiceStarted, &removed]);
}

#[test]
fn a_recording_that_cannot_be_written_is_an_error() {
    hnsproxy(&["emulator", "--listen=127.0.0.1:0", "--record=missing/recording"]).expect(1);
}

#[test]
fn flags_choose_how_long_writes_take_and_whether_unknown_members_are_accepted() {
    let options = |flags: &[&str]| Emulator::start(flags).control().options().unwrap();
    assert_eq!(options(&[]), Options::default());
    let flags = ["--build=server2022", "--pace=updated", "--accept-unknown-members"];
    let expected = Options { pace: Pace::Updated, accepts_unknown_members: true, ..Options::default() };
    assert_eq!(options(&flags), expected);
    hnsproxy(&["emulator", "--listen=127.0.0.1:0", "--pace=fast"]).expect(1);
}
