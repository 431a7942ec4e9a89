//! The questions to a Host Networking Service, what is known of the answers of each version, and the document with the answers of one service.
//! `hnsproxy probe` and the conformance suite ask; `hnsproxy emulator --like` reads the document.
#![forbid(unsafe_code)]

mod check;
mod expectations;
mod host;
mod survey;

pub use check::{Answer, Check, answer};
pub use expectations::judge;
pub use survey::{
    DocumentFacts, EndpointFacts, Finding, ForeignFacts, HostFacts, ListFacts, MemberFacts, NetworkChoice,
    NetworkFacts, NotProbed, Survey, SurveyError, Timing, VERSION, Verdict,
};
