//! The arguments that choose HNS and its API.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::duration_argument::seconds;

/// A build without the emulator has only the HNS of the host.
static DEFAULT: HnsChoice =
    if cfg!(windows) || cfg!(not(feature = "emulator")) { HnsChoice::Windows } else { HnsChoice::Emulated(None) };

#[derive(Debug, Clone, Args)]
pub struct HnsArgs {
    /// The HNS to use: `windows`, `emulated[:PATH]` or `tcp://HOST:PORT`.
    ///
    /// `windows` is the HNS of this host, and the default on Windows. `emulated` is an emulated HNS in this process, and the default on other
    /// systems. `emulated:PATH` starts it with the objects of a host document, of a dump of HNS (a file or a directory), or of the FILE.zip of
    /// `hnsproxy bundle`. `tcp://HOST:PORT` is an emulator that `hnsproxy emulator` serves.
    #[arg(long, value_name = "HNS", value_parser = choice)]
    pub hns: Option<HnsChoice>,
    /// The API of HNS.
    #[arg(long, value_name = "API", default_value = "auto", hide_short_help = true)]
    pub hns_api: HnsApi,
    /// How long an HNS call may take. A call that takes longer is logged while it is in flight, the liveness of HNS is slow, and the node is not
    /// ready until the call returns.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds, hide_short_help = true)]
    pub hns_call_budget: Duration,
}

impl HnsArgs {
    pub fn choice(&self) -> &HnsChoice {
        self.hns.as_ref().unwrap_or(&DEFAULT)
    }

    /// Whether HNS is emulated because `--hns` is missing.
    #[cfg(feature = "emulator")]
    pub(super) fn is_emulated_by_default(&self) -> bool {
        self.hns.is_none() && DEFAULT != HnsChoice::Windows
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HnsChoice {
    /// The emulator in this process, with the objects of a host document or dump if one is named.
    Emulated(Option<PathBuf>),
    /// The HNS of this Windows host.
    Windows,
    /// An emulator service at `HOST:PORT`.
    Tcp(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HnsApi {
    /// v2 if HNS has it, else v1.
    Auto,
    /// HNS v1 API: `HNSCall` of vmcompute.dll.
    V1,
    /// HCN v2 API: the functions of computenetwork.dll.
    V2,
}

fn choice(text: &str) -> Result<HnsChoice, String> {
    match text.split_once(':') {
        None if text == "emulated" => Ok(HnsChoice::Emulated(None)),
        None if text == "windows" => Ok(HnsChoice::Windows),
        Some(("emulated", path)) if !path.is_empty() => Ok(HnsChoice::Emulated(Some(path.into()))),
        Some(("tcp", rest)) if rest.len() > 2 && rest.starts_with("//") => {
            Ok(HnsChoice::Tcp(rest.replacen("//", "", 1)))
        }
        _ => Err("expected emulated, emulated:PATH, windows, or tcp://HOST:PORT".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_hns_can_be_chosen() {
        assert_eq!(choice("windows"), Ok(HnsChoice::Windows));
        assert_eq!(choice("emulated"), Ok(HnsChoice::Emulated(None)));
        // The path of a Windows file has a colon too.
        assert_eq!(choice("emulated:C:\\h.json"), Ok(HnsChoice::Emulated(Some("C:\\h.json".into()))));
        assert_eq!(choice("tcp://127.0.0.1:9"), Ok(HnsChoice::Tcp("127.0.0.1:9".into())));
        assert!(["emulated:", "tcp:127.0.0.1:9", "tcp://", "linux"].into_iter().all(|text| choice(text).is_err()));
    }
}
