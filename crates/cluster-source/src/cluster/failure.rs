//! Why the API server could not be asked, told apart by code, and said with what to do about it.

use std::time::Duration;

use super::answer::Garbage;
use super::kind::Kind;
use super::refusal::Refusal;

/// How long a server that starts may know no roles.
const STARTING: Duration = Duration::from_secs(3);

/// Why a request failed, or a watch broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The client could not be made: credentials that can't be read, a plugin that fails.
    Access(String),
    /// No connection.
    Connection(String),
    /// The connection broke in the middle of an answer.
    Cut(String),
    /// The server is not who it should be, or does not let us in by our certificate.
    Certificate(String),
    /// No answer in time.
    Silent,
    /// An answer that makes no sense.
    Garbage(Garbage),
    /// The server refuses.
    Refused(Refusal),
}

impl Failure {
    fn code(&self) -> Option<u16> {
        match self {
            Failure::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }

    /// Whether what was followed is no longer, or was never, known to the server: only a new list helps.
    pub(super) fn needs_list(&self) -> bool {
        matches!(self, Failure::Refused(refusal) if refusal.version_unknown)
            || matches!(self.code(), Some(400 | 410 | 422))
    }

    /// Whether this happens to servers that are well, now and then.
    pub(super) fn is_ordinary(&self) -> bool {
        matches!(self, Failure::Cut(_)) || self.needs_list()
    }

    /// How long it has to last before it is worth a word: a server that starts forbids everything until it has read the roles.
    pub(super) fn patience(&self) -> Duration {
        if self.code() == Some(403) { STARTING } else { Duration::ZERO }
    }

    /// Whether the server does not understand the question.
    pub(super) fn is_misunderstood(&self) -> bool {
        matches!(self.code(), Some(400 | 422))
    }

    /// Whether the server may have no streams of lists: older ones do not understand them, newer ones fail where etcd is too old.
    pub(super) fn may_be_without_streams(&self) -> bool {
        self.is_misunderstood() || self.code() == Some(500)
    }

    /// Whether the server is there and well, but busy.
    pub(super) fn is_busy(&self) -> bool {
        self.code() == Some(429)
    }

    /// Whether other credentials may help: those in use may have expired.
    pub(super) fn concerns_credentials(&self) -> bool {
        self.code() == Some(401) || matches!(self, Failure::Certificate(_))
    }

    /// After how many seconds the server wants to be asked again.
    pub(super) fn retry_after(&self) -> Option<u64> {
        match self {
            Failure::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// The failure for people. What concerns the whole server does not name the kind, so that it is one message for all kinds.
    pub(super) fn describe<K: Kind>(&self, server: &str) -> String {
        match self {
            Failure::Access(why) => why.clone(),
            Failure::Connection(why) => format!("the API server {server} can't be reached: {why}"),
            Failure::Cut(why) => format!("the connection to the API server {server} breaks: {why}"),
            Failure::Certificate(why) => format!(
                "the API server {server} can't be trusted, or does not trust us: {why}; look at certificate-authority, \
                 client-certificate and the server's name in the kubeconfig, and at the clock of this node"
            ),
            Failure::Silent => format!("the API server {server} does not answer"),
            Failure::Garbage(garbage) => format!("the API server {server} makes no sense: {garbage}"),
            Failure::Refused(Refusal { code, message, .. }) => {
                let said = if message.is_empty() { String::new() } else { format!(": {message}") };
                match code {
                    401 => format!(
                        "the API server {server} does not accept our credentials (401){said}; look at the token or certificate \
                         of the kubeconfig or the service account"
                    ),
                    403 => format!(
                        "the API server {server} forbids to list and watch {} (403){said}; the ClusterRole system:node-proxier allows it",
                        K::RESOURCE
                    ),
                    429 => format!("the API server {server} is busy (429){said}"),
                    500.. => format!("the API server {server} fails ({code}){said}"),
                    _ => format!("the API server {server} answers {code} when asked for {}{said}", K::RESOURCE),
                }
            }
        }
    }
}

impl From<Garbage> for Failure {
    fn from(garbage: Garbage) -> Self {
        Failure::Garbage(garbage)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::Services;
    use super::*;

    fn refused(code: u16) -> Failure {
        Failure::Refused(Refusal { code, message: "because".into(), ..Refusal::default() })
    }

    #[test]
    fn a_message_says_what_to_look_at() {
        let text = |failure: &Failure| failure.describe::<Services>("https://api:6443");
        assert!(text(&refused(403)).contains("forbids to list and watch services (403): because; the ClusterRole"));
        assert!(text(&refused(401)).contains("(401): because; look at the token"));
        assert!(text(&Failure::Certificate("expired".into())).contains("expired; look at certificate-authority"));
        assert_eq!(text(&refused(404)), "the API server https://api:6443 answers 404 when asked for services: because");
        assert_eq!(text(&refused(500)), "the API server https://api:6443 fails (500): because");
    }

    #[test]
    fn failures_are_told_apart_by_code() {
        let unknown = Refusal { code: 504, version_unknown: true, ..Refusal::default() };
        assert!(refused(410).needs_list() && Failure::Refused(unknown).needs_list() && !refused(504).needs_list());
        assert!(refused(422).is_misunderstood() && !refused(410).is_misunderstood());
        assert!(refused(401).concerns_credentials() && !refused(403).concerns_credentials());
    }
}
