//! How the server behaves: what a script may change at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::http::Request;
use crate::kind::Kind;

/// How requests are answered from now on. What is being answered already goes on as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// As they should be.
    #[default]
    Well,
    /// By a refusal of this code, which may say after how many seconds to ask again.
    Refuses {
        /// 401, 403, 429, 500 and so on.
        code: u16,
        /// Sent as `Retry-After`, and in the document.
        retry_after: Option<u32>,
    },
    /// By 200 and something that is no JSON.
    Garbage,
    /// By half of a list, or of the first that a watch has to say; then the connection is cut.
    Half,
    /// Not at all, while the connection stays open.
    Hangs,
    /// After this time.
    Slow(Duration),
}

/// Whether lists are streamed by watches (`sendInitialEvents=true`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamedLists {
    /// They are.
    #[default]
    Offered,
    /// Refused by 422, as by servers without the feature gate WatchList, and by older ones.
    Forbidden,
    /// Refused by an event of a watch that is otherwise accepted, as by servers whose etcd is too old.
    Unsupported,
}

/// How a watch is refused whose version is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExpiredWatches {
    /// The watch is accepted, and begins with an event of type ERROR. So does the API server of today.
    #[default]
    Event,
    /// By the HTTP code 410.
    Code,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    pub(crate) mood: Mood,
    pub(crate) moods: BTreeMap<Kind, Mood>,
    pub(crate) streamed_lists: StreamedLists,
    pub(crate) expired_watches: ExpiredWatches,
    /// Who is let in; anyone, where nothing is said.
    pub(crate) tokens: Option<BTreeSet<String>>,
    /// Certificates that are no longer accepted.
    pub(crate) withdrawn: BTreeSet<Vec<u8>>,
}

impl Behaviour {
    pub(crate) fn mood_of(&self, kind: Option<Kind>) -> Mood {
        kind.and_then(|kind| self.moods.get(&kind)).copied().unwrap_or(self.mood)
    }

    /// Whether whoever asks is known, by a token or by a certificate that TLS has verified.
    pub(crate) fn lets_in(&self, request: &Request, certificate: Option<&[u8]>) -> bool {
        let Some(tokens) = &self.tokens else { return true };
        let token = request.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
        certificate.is_some_and(|certificate| !self.withdrawn.contains(certificate))
            || token.is_some_and(|token| tokens.contains(token))
    }
}
