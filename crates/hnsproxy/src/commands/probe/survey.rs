//! The survey: what a probe found, as a document that is printed, and that `emulator --like` reads.

use serde::{Deserialize, Serialize};

use super::check::Check;

/// The version of the format. A reader refuses other versions.
pub(crate) const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Survey {
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

/// What is known if HNS cannot be probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotProbed {
    pub description: String,
    pub host: HostFacts,
    pub error: String,
}

/// Unknown facts are null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HostFacts {
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
pub(crate) struct NetworkFacts {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub subnets: Vec<String>,
}

/// The network that hnsproxy would use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NetworkChoice {
    pub name: Option<String>,
    pub reason: String,
}

/// The answer of HNS to one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
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
pub(crate) enum Verdict {
    Expected,
    Other,
    /// Nothing is known of this version.
    Unknown,
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MemberFacts {
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
pub(crate) struct DocumentFacts {
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
pub(crate) struct ListFacts {
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
    pub(crate) fn is_same(&self) -> bool {
        self.only_v1.is_empty() && self.only_v2.is_empty() && self.other_backends.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointFacts {
    pub id: String,
    pub name: String,
    pub address: String,
    /// The types of the policies that it lacks.
    pub missing: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ForeignFacts {
    pub id: String,
    pub frontends: Vec<String>,
    /// The program that probably created it.
    pub likely_creator: String,
}

/// How long calls of one kind took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Timing {
    pub call: String,
    pub count: usize,
    /// The median, in milliseconds.
    pub p50_ms: f64,
    pub max_ms: f64,
}
