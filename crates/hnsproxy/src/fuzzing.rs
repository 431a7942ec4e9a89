//! What fuzz targets call: each function takes any bytes, and asserts what must hold for them.

use std::cell::RefCell;
use std::ffi::OsString;
#[cfg(feature = "emulator")]
use std::path::Path;

use cluster_source::decode_text;
#[cfg(feature = "emulator")]
use hcn::Kind;
#[cfg(feature = "emulator")]
use hcn_emulator::Emulator;

use crate::cli::{self, Command};
use crate::config::{Config, ConfigError, Flags};
#[cfg(feature = "emulator")]
use crate::hns::emulator_of_text;

/// The text of a configuration file. The configuration is the same after it was written and read again.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = decode_text(bytes.to_vec()) else { return };
    let flags = Flags::default();
    let Ok(config) = resolve(Config::of_text(&flags, &text)) else { return };
    config.flags();
    let written = config.to_v1alpha1();
    let text = written.to_string();
    let again = Config::of_text(&flags, &text).map_err(|error| error.to_string());
    assert_eq!(again.map(|again| again.to_v1alpha1()), Ok(written), "{text}");
}

/// The text of a dump of HNS, or of a host document. What an emulator with its objects saves has the same objects.
#[cfg(feature = "emulator")]
pub fn hns_dump(bytes: &[u8]) {
    let Ok(text) = decode_text(bytes.to_vec()) else { return };
    let (host, emulator) = match emulator_of_text(Path::new("dump.json"), &text) {
        Ok(read) => read,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let documents =
        |emulator: &Emulator| [Kind::Network, Kind::Endpoint, Kind::LoadBalancer].map(|kind| emulator.documents(kind));
    // The objects of a dump are not checked, but those of a host document are.
    if let Ok(again) = Emulator::from_host(&emulator.to_host(&host)) {
        assert_eq!(documents(&again), documents(&emulator));
    }
}

/// The limit of Windows for a command line, in characters.
const MAX_COMMAND_LINE: usize = 32_767;

/// Arguments, separated by line ends.
pub fn flags(bytes: &[u8]) {
    if bytes.len() > MAX_COMMAND_LINE {
        return;
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let arguments = std::iter::once("hnsproxy").chain(text.split('\n')).map(OsString::from);
    thread_local! {
        // To build it takes longer than everything else.
        static COMMAND: RefCell<clap::Command> = RefCell::new(cli::definition());
    }
    let flags = match COMMAND.with_borrow_mut(|command| cli::parse_with(command, arguments)) {
        Ok(cli) => match cli.command {
            Command::Run(args) => args.proxy.kube_proxy,
            Command::Plan(args) => args.proxy.kube_proxy,
            _ => return,
        },
        Err(error) => {
            error.to_string();
            return;
        }
    };
    flags.version_to_print();
    if let Ok(config) = resolve(Config::of_flags(&flags)) {
        config.flags();
        config.to_v1alpha1();
    }
    let _ = resolve(Config::of_text(
        &flags,
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n",
    ));
}

/// Checks that an error has a message.
fn resolve(result: Result<Config, ConfigError>) -> Result<Config, ()> {
    result.map_err(|error| assert!(!error.to_string().is_empty()))
}
