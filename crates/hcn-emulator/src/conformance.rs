//! The conformance suite: checks of what Service proxies, CNI plugins and container tools rely on, for any implementation of [`Hcn`]. The result is
//! a survey, as that of `hnsproxy probe`.
//!
//! Unlike the probe, each check has a network of its own, and deletes it in the end, its load balancers first, since HNS does not document that it
//! deletes them with the network. Networks have the type NAT, which needs no adapter; those with load balancers are overlays, as in hnslib's
//! tests.

mod cni;
mod endpoints;
mod lists;
mod load_balancers;
mod scratch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hcn::call::{Call, Reply};
use hcn::{ApiVersion, Client, Error, Features, Hcn, Instrumented, Kind};
use hcn_survey::{Answer, Check, Finding, HostFacts, NetworkChoice, Survey, Timing, VERSION, answer, judge};

/// A check, and how it is made.
struct Case {
    check: Check,
    /// Whether an HNS with these features can be asked.
    applies: fn(&Features) -> bool,
    question: Question,
}

#[derive(Clone, Copy)]
enum Question {
    /// Whether HNS behaves as the check says. The error is what differs.
    Behavior(fn(&Arc<dyn Hcn>) -> Result<(), String>),
    /// What HNS answers. The error is why it was not asked.
    Answer(fn(&Arc<dyn Hcn>) -> Result<Answer, String>),
}

impl Case {
    fn answer(&self, hcn: &Arc<dyn Hcn>) -> Answer {
        match self.question {
            Question::Behavior(ask) => match ask(hcn) {
                Ok(()) => answer::YES.into(),
                Err(why) => Answer::with(answer::NO, Some(why)),
            },
            Question::Answer(ask) => ask(hcn).unwrap_or_else(|why| Answer::with(answer::NOT_ASKED, Some(why))),
        }
    }
}

/// The times of calls by function.
type Samples = Arc<Mutex<BTreeMap<&'static str, Vec<Duration>>>>;

fn cases() -> impl Iterator<Item = &'static Case> {
    [lists::CASES, endpoints::CASES, load_balancers::CASES, cni::CASES].into_iter().flatten()
}

/// All checks of the suite.
pub fn checks() -> impl Iterator<Item = Check> {
    cases().map(|case| case.check)
}

/// Makes the checks that apply to the version of `hcn`, and reports each answer. `description` says which HNS it is.
///
/// # Errors
/// If the version of HNS cannot be read.
pub fn survey(hcn: impl Hcn + 'static, description: String, mut report: impl FnMut(&Finding)) -> Result<Survey, Error> {
    let samples = Samples::default();
    let hcn = Instrumented::new(hcn, Duration::MAX);
    let observed = samples.clone();
    hcn.observe(Box::new(move |call| {
        let mut samples = observed.lock().unwrap_or_else(PoisonError::into_inner);
        samples.entry(call.function).or_default().push(call.took);
    }));
    let hcn: Arc<dyn Hcn> = Arc::new(hcn);
    let version = Client::new(hcn.clone(), ApiVersion::V1).version()?;
    let features = Features::of(version);
    let mut findings = Vec::new();
    for case in cases().filter(|case| (case.applies)(&features)) {
        let finding = judge(case.check, version, case.answer(&hcn));
        report(&finding);
        findings.push(finding);
    }
    let samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Survey {
        survey_version: VERSION,
        description,
        host: HostFacts::read(Some(version.to_string())),
        networks: Vec::new(),
        network_choice: NetworkChoice { name: None, reason: "the conformance suite has its own networks".to_owned() },
        findings,
        unknown_members: Vec::new(),
        unreadable: Vec::new(),
        unreadable_documents: Vec::new(),
        lists: Vec::new(),
        endpoints_without_policies: Vec::new(),
        foreign_load_balancers: Vec::new(),
        timings: samples.iter().map(|(function, samples)| Timing::of(function, samples)).collect(),
    })
}

/// The error says what was expected.
fn expect(condition: bool, what: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("expected {what}")) }
}

fn text(error: Error) -> String {
    error.to_string()
}

fn close(hcn: &dyn Hcn, kind: Kind, made: &Result<Reply, Error>) {
    if let Ok(Reply::Handle(handle)) = made {
        let _ = hcn.call(&Call::Close { kind, handle: *handle });
    }
}
