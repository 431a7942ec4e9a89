//! The faults and other behaviour of the server, which a test may change at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::http::Request;
use crate::kind::Kind;

/// A fault of the server. Applies to new requests; answers in progress continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FaultMode {
    /// Nothing.
    #[default]
    None,
    /// Rejects requests with a status.
    Refuses {
        /// The HTTP code, for example 401 or 429.
        code: u16,
        /// Seconds, sent as `Retry-After` and in the status.
        retry_after: Option<u32>,
    },
    /// Responds with code 200 and a body that is not JSON.
    Garbage,
    /// Responds with code 200 and an HTML page without a line end, as a proxy that asks for a login.
    LoginPage,
    /// Leaves all objects out of lists, and ends them correctly. Changes are sent.
    EmptyLists,
    /// Leaves all objects out of streamed lists only.
    EmptyStreams,
    /// Responds to lists with a list of another kind, and to watches with objects of another kind.
    OtherKind,
    /// Lists and bookmarks have an empty resource version.
    NoVersion,
    /// The first page of a list has no `continue` token, but a `remainingItemCount`.
    LostPages,
    /// Each page after the first has the `continue` token of its own request.
    RepeatedPages,
    /// Each page of a list has a new `continue` token, the last one too.
    EndlessPages,
    /// Accepts watches, and then sends nothing on them, not even their end.
    Silent,
    /// Accepts watches, sends nothing on them, and closes the connection after this time.
    CutsWatches(Duration),
    /// Ends each watch at once, correctly, before it has sent anything.
    EndsWatches,
    /// Objects in lists are larger by this number of bytes.
    LargeObjects(usize),
    /// Rejects requests with a code and a body that never ends.
    EndlessError {
        /// The HTTP code.
        code: u16,
    },
    /// Lists that are not streamed have objects without end.
    EndlessList,
    /// Watches send a line that never ends.
    EndlessLine,
    /// Sends half of a list, or half of the first events of a watch, then closes the connection.
    Half,
    /// Never responds, and keeps the connection open.
    Hangs,
    /// Responds after this time.
    Slow(Duration),
}

/// Whether lists are streamed by watches (`sendInitialEvents=true`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamedLists {
    #[default]
    Offered,
    /// Rejected with code 422, as by servers without the feature gate WatchList, and by older ones.
    Forbidden,
    /// Rejected by an ERROR event of the watch, as by servers whose etcd is too old.
    Unsupported,
}

/// How the server rejects a watch from an expired resource version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExpiredWatches {
    /// By an event of type ERROR, as current API servers do.
    #[default]
    Event,
    /// By HTTP code 410.
    Code,
}

/// As API servers do.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

/// All settings of the server.
#[derive(Debug)]
pub(crate) struct Behaviour {
    pub(crate) fault_mode: FaultMode,
    pub(crate) fault_modes: BTreeMap<Kind, FaultMode>,
    pub(crate) streamed_lists: StreamedLists,
    pub(crate) expired_watches: ExpiredWatches,
    /// Whether streamed lists are compressed for clients that accept it, as from 1.37 on.
    pub(crate) compressed_streams: bool,
    /// How often watches send a bookmark; `None`: only those of the test.
    pub(crate) bookmark_interval: Option<Duration>,
    /// Tokens that authenticate. `None`: authentication is not required.
    pub(crate) tokens: Option<BTreeSet<String>>,
    /// Client certificates that no longer authenticate.
    pub(crate) withdrawn: BTreeSet<Vec<u8>>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            fault_mode: FaultMode::default(),
            fault_modes: BTreeMap::new(),
            streamed_lists: StreamedLists::default(),
            expired_watches: ExpiredWatches::default(),
            compressed_streams: false,
            bookmark_interval: Some(BOOKMARK_INTERVAL),
            tokens: None,
            withdrawn: BTreeSet::new(),
        }
    }
}

impl Behaviour {
    pub(crate) fn fault_mode_of(&self, kind: Option<Kind>) -> FaultMode {
        kind.and_then(|kind| self.fault_modes.get(&kind)).copied().unwrap_or(self.fault_mode)
    }

    /// Whether a request is authenticated, by a token or by a certificate that TLS has verified.
    pub(crate) fn lets_in(&self, request: &Request, certificate: Option<&[u8]>) -> bool {
        let Some(tokens) = &self.tokens else { return true };
        let token = request.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
        certificate.is_some_and(|certificate| !self.withdrawn.contains(certificate))
            || token.is_some_and(|token| tokens.contains(token))
    }
}
