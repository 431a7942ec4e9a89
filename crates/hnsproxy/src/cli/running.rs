//! The arguments of the commands that query the running hnsproxy: `status`, `services`, `history` and `top`.

use std::net::SocketAddr;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use proxy::model::ServiceName;

use super::{DebugTlsArgs, OutputArgs, service_name};

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  Show whether HNS is in sync, and what is pending:
    hnsproxy status
  Show each change of the status until Ctrl-C:
    hnsproxy status --watch

Exit codes: 0 HNS in sync; 1 not in sync, or an error; 2 hnsproxy cannot be queried.";

pub(super) const SERVICES_EXAMPLES: &str = "\
Examples:
  Show the Services that are not in sync or have a condition:
    hnsproxy services --problems
  Show the Services of a namespace:
    hnsproxy services -q kube-system/

Exit codes: 0 done; 1 error.";

pub(super) const HISTORY_EXAMPLES: &str = "\
Examples:
  Show the events of a Service:
    hnsproxy history default/web
  Show the events of the last ten minutes, then new events as they occur:
    hnsproxy history --since 10m --follow

Exit codes: 0 done; 1 error.";

pub(super) const TOP_EXAMPLES: &str = "\
Examples:
  Show the slowest HNS calls and the last changes, updated each second until Ctrl-C:
    hnsproxy top

Exit codes: 0 done; 1 error.";

/// The arguments that all of these commands have.
#[derive(Debug, Args)]
pub struct RunningArgs {
    /// The --metrics-bind-address of the running hnsproxy.
    ///
    /// Default: that of the installed Windows service, else 127.0.0.1:10249.
    #[arg(long, value_name = "IP:PORT")]
    pub debug_address: Option<SocketAddr>,
    #[command(flatten)]
    pub debug_tls: DebugTlsArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub running: RunningArgs,
    /// Show the status again each time it changes, until Ctrl-C.
    #[arg(short, long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
pub struct ServicesArgs {
    #[command(flatten)]
    pub running: RunningArgs,
    /// Show only Services that are not in sync or have a condition.
    #[arg(long)]
    pub problems: bool,
    /// Show only Services whose NAMESPACE/NAME contains this text.
    #[arg(short, long, value_name = "PART")]
    pub query: Option<String>,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Show only the entries of this Service.
    #[arg(value_name = "NAMESPACE/NAME", value_parser = service_name)]
    pub service: Option<ServiceName>,
    #[command(flatten)]
    pub running: RunningArgs,
    /// Show only the entries of this duration, since this time, or after this sequence.
    ///
    /// For example 10m, 2026-01-02T14:03:00Z or 58. Default: the last 500 entries.
    #[arg(long, value_name = "SINCE", value_parser = since)]
    pub since: Option<String>,
    /// After the existing entries, show new ones until Ctrl-C.
    #[arg(short, long)]
    pub follow: bool,
}

#[derive(Debug, Args)]
pub struct TopArgs {
    #[command(flatten)]
    pub running: RunningArgs,
    /// Show the current state once and exit. This is the default without a terminal.
    #[arg(long)]
    pub once: bool,
}

/// The value of the parameter `since` of `/debug/history`.
fn since(text: &str) -> Result<String, String> {
    since_at(text, Timestamp::now())
}

fn since_at(text: &str, now: Timestamp) -> Result<String, String> {
    if text.parse::<u64>().is_ok() {
        return Ok(text.to_owned());
    }
    let ago = || now.checked_sub(text.parse::<SignedDuration>().ok()?).ok();
    let time = text.parse().ok().or_else(ago);
    time.map(|time| time.to_string()).ok_or_else(|| "expected e.g. 10m, 2026-01-02T14:03:00Z or 58".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_sequence_a_time_or_a_duration() {
        let now = "2026-01-02T14:13:00Z".parse().unwrap();
        assert_eq!(since_at("58", now), Ok("58".to_owned()));
        for text in ["10m", "2026-01-02T14:03:00Z", "2026-01-02T15:03:00+01:00"] {
            assert_eq!(since_at(text, now), Ok("2026-01-02T14:03:00Z".to_owned()), "{text}");
        }
        for text in ["", "yesterday", "-1"] {
            assert!(since_at(text, now).is_err(), "{text}");
        }
    }
}
