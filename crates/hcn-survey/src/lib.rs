//! The checks of a Host Networking Service, the expected answers of each version, and the survey: the document with the answers of one service.
//! `hnsproxy probe` and the conformance suite write a survey; `hnsproxy emulator --like` reads it.
#![forbid(unsafe_code)]

mod check;
mod expectations;
mod host;
mod survey;

pub use check::{Answer, Check, answer};
pub use expectations::judge;
pub use host::output;
pub use survey::{
    DocumentFacts, EndpointFacts, Finding, ForeignFacts, HostFacts, ListFacts, MemberFacts, NetworkChoice,
    NetworkFacts, NotProbed, Survey, SurveyError, Timing, VERSION, Verdict,
};
