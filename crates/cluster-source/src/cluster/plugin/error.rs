//! Why a credential plugin has no credentials. No message has anything that a plugin printed.

use super::{KILL_AFTER, REPORT_AFTER};

/// The part of an answer that is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("more than 1 MiB on stdout")]
    TooLong,
    #[error("not an ExecCredential in JSON or YAML: line {line}, column {column}")]
    Syntax {
        /// From 1.
        line: u64,
        /// From 1.
        column: u64,
    },
    /// `answered` is left out unless it is a version of the API: it might be anything.
    #[error("{}expected {expected}, the apiVersion of exec in the kubeconfig", answered.as_ref().map_or_else(
        || "unknown apiVersion; ".to_owned(),
        |answered| format!("apiVersion {answered}; ")
    ))]
    Version { answered: Option<String>, expected: String },
    #[error("unknown kind; expected ExecCredential")]
    Kind,
    #[error("missing status.token, or status.clientCertificateData and status.clientKeyData")]
    NoCredentials,
    #[error("missing {field}")]
    HalfCertificate { field: &'static str },
    #[error("invalid status.token: HTTP headers do not allow one of its characters")]
    Token,
    #[error("invalid status.expirationTimestamp: expected e.g. 2030-01-02T03:04:05Z")]
    Expiration,
}

/// How much a plugin printed, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Printed {
    pub stdout: u64,
    pub stderr: u64,
}

impl std::fmt::Display for Printed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stdout, stderr } = self;
        write!(
            f,
            "{stdout} bytes on stdout and {stderr} bytes on stderr, not shown because they may contain credentials"
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    #[error("invalid exec in the kubeconfig: missing command")]
    NoCommand,
    #[error(
        "invalid exec.apiVersion {api_version:?} of credential plugin {command}: expected {} or {}",
        super::VERSIONS[0],
        super::VERSIONS[1]
    )]
    Version { command: String, api_version: String },
    #[error(
        "cannot run credential plugin {command}: interactiveMode Always needs a terminal; set Never or IfAvailable if the plugin can do \
         without"
    )]
    Interactive { command: String },
    #[error("cannot run credential plugin {command}: not found; {}", install_hint.as_deref().unwrap_or("install it, or check exec.command in the kubeconfig"))]
    NotInstalled { command: String, install_hint: Option<String> },
    #[error("cannot run credential plugin {command}: {reason}")]
    Start { command: String, reason: String },
    #[error("credential plugin {command} failed: {status} ({printed}); run it by hand to see why")]
    Failed { command: String, status: String, printed: Printed },
    #[error("invalid answer of credential plugin {command}: {error} ({printed}); run it by hand to see it")]
    Answer { command: String, error: AnswerError, printed: Printed },
    /// It is still running.
    #[error(
        "credential plugin {command} does not answer: running for more than {} s; it is killed after {} s",
        REPORT_AFTER.as_secs(),
        KILL_AFTER.as_secs()
    )]
    Hangs { command: String },
    #[error("credential plugin {command} did not end within {} s: killed ({printed}); run it by hand to see why", KILL_AFTER.as_secs())]
    Killed { command: String, printed: Printed },
}
