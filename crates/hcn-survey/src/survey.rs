//! The survey: the answers of an HNS, as a document.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::check::Check;

/// The version of the format.
pub const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("unknown version {0} (known: {VERSION}); use the hnsproxy that wrote it")]
    Version(u32),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Survey {
    pub survey_version: u32,
    /// The program that made it, and the HNS.
    pub description: String,
    pub host: HostFacts,
    pub networks: Vec<NetworkFacts>,
    pub network_choice: NetworkChoice,
    pub findings: Vec<Finding>,
    /// Members of documents that neither the published schema nor documents of known builds have.
    pub unknown_members: Vec<MemberFacts>,
    /// Members and documents that cannot be read.
    pub unreadable: Vec<MemberFacts>,
    /// The documents that cannot be read, or have a member that cannot. Their number is limited.
    #[serde(default)]
    pub unreadable_documents: Vec<DocumentFacts>,
    pub lists: Vec<ListFacts>,
    /// Local endpoints without the policies that direct server return needs.
    pub endpoints_without_policies: Vec<EndpointFacts>,
    pub foreign_load_balancers: Vec<ForeignFacts>,
    pub timings: Vec<Timing>,
}

impl Survey {
    /// # Errors
    /// If the text is not a survey of [`VERSION`].
    pub fn from_json(text: &str) -> Result<Self, SurveyError> {
        let survey: Self = serde_json::from_str(text)?;
        if survey.survey_version == VERSION { Ok(survey) } else { Err(SurveyError::Version(survey.survey_version)) }
    }

    /// The answer to a check, if HNS was asked.
    pub fn observed(&self, check: Check) -> Option<&str> {
        self.findings.iter().find(|finding| finding.check == check).map(|finding| finding.observed.as_str())
    }

    /// Whether an answer differs from what is known.
    pub fn has_other(&self) -> bool {
        self.findings.iter().any(|finding| finding.verdict == Verdict::Other)
    }
}

/// What is known if HNS cannot be probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotProbed {
    pub description: String,
    pub host: HostFacts,
    pub error: String,
}

/// Unknown facts are null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    pub windows_edition: Option<String>,
    pub windows_build: Option<u32>,
    /// The number of the last update, behind the build: 17763.8146.
    pub windows_revision: Option<u32>,
    pub hns_version: Option<String>,
    /// The state of the service `hns`.
    pub hns_service: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkFacts {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub subnets: Vec<String>,
}

/// The network that hnsproxy would use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkChoice {
    pub name: Option<String>,
    pub reason: String,
}

/// The answer of HNS to one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub check: Check,
    /// One of a few words, or a code such as `0x803b0013`.
    pub observed: String,
    /// Empty if nothing is known of this version.
    pub expected: Vec<String>,
    pub verdict: Verdict,
    /// Where the expectation comes from.
    pub source: Option<String>,
    /// The error of HNS, or numbers.
    pub detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    Expected,
    Other,
    /// Nothing is known of this version.
    Unknown,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberFacts {
    /// `Network`, `Endpoint` or `LoadBalancer`.
    pub kind: String,
    /// `v1` or `v2`.
    pub api: String,
    /// The names of the member, separated by dots, `Policies[ACL]` for policies of a type. Empty for a whole document.
    pub member: String,
    /// The number of objects that have it.
    pub objects: u64,
    /// The beginning of its last value, as JSON.
    pub value: String,
}

/// A document as HNS returned it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentFacts {
    pub kind: String,
    /// `v1` or `v2`.
    pub api: String,
    /// The document, or its beginning.
    pub text: String,
    /// The number of characters of the whole document.
    pub characters: usize,
}

/// A kind of object in the lists of both APIs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListFacts {
    pub kind: String,
    pub v1: usize,
    pub v2: usize,
    pub only_v1: Vec<String>,
    pub only_v2: Vec<String>,
    /// The objects with other backends in v1 than in v2.
    pub other_backends: Vec<String>,
    /// The number of objects whose documents were compared.
    pub compared: usize,
}

impl ListFacts {
    pub fn is_same(&self) -> bool {
        self.only_v1.is_empty() && self.only_v2.is_empty() && self.other_backends.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointFacts {
    pub id: String,
    pub name: String,
    pub address: String,
    /// The types of the policies that it lacks.
    pub missing: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignFacts {
    pub id: String,
    pub frontends: Vec<String>,
    /// The program that probably created it.
    pub likely_creator: String,
}

/// How long calls of one kind took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timing {
    pub call: String,
    pub count: usize,
    /// The median, in milliseconds.
    pub p50_ms: f64,
    pub max_ms: f64,
}

impl Timing {
    pub fn of(call: &str, samples: &[Duration]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        // To the microsecond, which is more than a call of milliseconds needs.
        let milliseconds = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_micros() as f64 / 1000.0);
        Self {
            call: call.to_owned(),
            count: sorted.len(),
            p50_ms: milliseconds(sorted.get(sorted.len() / 2)),
            max_ms: milliseconds(sorted.last()),
        }
    }
}
