//! Builds of Windows as presets of version and quirks.

use std::collections::BTreeSet;
use std::str::FromStr;

use hcn::Version;
use serde::{Deserialize, Serialize};

/// How an HNS departs from what its interface promises.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quirks {
    /// Modifying a load balancer succeeds and changes nothing (kubernetes 131466, seen on 15.4).
    pub silent_modify: bool,
    /// Ids chosen by the caller are ignored.
    pub chooses_ids: bool,
    /// A local endpoint is refused on an address that a remote one has (kubernetes 130963).
    pub remote_blocks_local: bool,
    /// The first attempt to delete a load balancer fails (seen on Server 2019).
    pub first_delete_fails: bool,
    /// A deleted load balancer without an address leaves its port reserved (kubernetes 137530).
    pub leaks_ports: bool,
    /// A load balancer is refused if a local backend was never attached. Real nodes do so; hnslib's tests want the contrary.
    pub wants_attached_backends: bool,
    /// Ports of the host taken by others: protocol number and port.
    pub reserved_ports: BTreeSet<(u32, u16)>,
}

/// What an emulated HNS does where it is not known what a real one does, apart from quirks of builds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// A load balancer without a backend is accepted.
    pub accepts_no_backend: bool,
    /// `HNSCall` succeeds where HNS refuses, and its envelope says that it failed, as on older builds.
    pub fails_in_envelope: bool,
}

/// A build of Windows, as far as HNS goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The name of the preset, or the version.
    pub name: String,
    /// The version of HNS. Which Windows has which is partly assumed.
    pub version: Version,
    /// How it departs from the interface.
    pub quirks: Quirks,
}

/// The presets: name, version, whether a modify is silent.
const PRESETS: [(&str, Version, bool); 8] = [
    ("server2019-rtm", Version::new(9, 1), false),
    ("server2019", Version::new(9, 5), false),
    ("1909", Version::new(10, 5), false),
    ("20h2", Version::new(11, 11), false),
    ("server2022", Version::new(14, 0), false),
    ("23h2", Version::new(15, 2), false),
    ("server2025", Version::new(15, 4), true),
    ("latest", Version::new(15, 5), false),
];

/// Other names of presets.
const ALIASES: [(&str, &str); 4] =
    [("ws2019-rtm", "server2019-rtm"), ("ws2019", "server2019"), ("ws2022", "server2022"), ("ws2025", "server2025")];

impl Build {
    /// The names of the presets.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|(name, ..)| *name)
    }

    /// A build of a version without a name.
    pub fn of(version: Version) -> Self {
        let quirks = Quirks { silent_modify: version == Version::new(15, 4), ..Quirks::default() };
        Self { name: version.to_string(), version, quirks }
    }
}

impl FromStr for Build {
    type Err = String;

    /// A preset by one of its names, or any version such as `15.5`.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(text)).map_or(text, |(_, name)| name);
        if let Some((name, version, silent_modify)) = PRESETS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text))
        {
            let quirks = Quirks { silent_modify: *silent_modify, ..Quirks::default() };
            return Ok(Self { name: (*name).to_owned(), version: *version, quirks });
        }
        text.parse().map(Self::of).map_err(|_| {
            let names: Vec<_> = Self::names().collect();
            format!("{text:?} is no build; known are {}, or a version of HNS such as 15.5", names.join(", "))
        })
    }
}
