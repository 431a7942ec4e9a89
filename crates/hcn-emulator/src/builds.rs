//! Builds of Windows as presets of version and quirks.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use hcn::{Kind, Version};
use serde::{Deserialize, Serialize};

/// Known deviations of HNS builds from the API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quirks {
    /// Modifying a load balancer succeeds and changes nothing (kubernetes 131466, seen on 15.4).
    pub silent_modify: bool,
    /// The kinds of objects whose requested ids are ignored: HNS chooses its own.
    pub chooses_ids: BTreeSet<Kind>,
    /// A local endpoint is rejected if a remote endpoint has its address (kubernetes 130963).
    pub remote_blocks_local: bool,
    /// The first attempt to delete a load balancer fails (seen on Server 2019).
    pub first_delete_fails: bool,
    /// A deleted load balancer without an address leaves its port reserved (kubernetes 137530).
    pub leaks_ports: bool,
    /// Deleting a remote endpoint succeeds, and the endpoint stays (microsoft/Windows-Containers 631).
    pub silent_delete: bool,
    /// Deleting a load balancer succeeds, and the load balancer stays.
    pub silent_load_balancer_delete: bool,
    /// A load balancer with a local backend that was never attached is rejected. Real nodes do this (microsoft/hcsshim 1043); hnslib's
    /// tests expect the opposite.
    pub wants_attached_backends: bool,
    /// Ports of the host that other processes use: protocol number and port.
    pub reserved_ports: BTreeSet<(u32, u16)>,
    /// Ports that processes listen on with the address 0.0.0.0, which block load balancers on any address (kubernetes/community 8883, seen
    /// on Server 2019).
    pub wildcard_listeners: BTreeSet<(u32, u16)>,
}

/// Choices where the behaviour of a real HNS is unknown, apart from quirks of builds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// A load balancer without a backend is accepted.
    pub accepts_no_backend: bool,
    /// `HNSCall` returns success for a rejected call and reports the failure in its envelope, as older builds do.
    pub fails_in_envelope: bool,
    /// Members that the published schema lacks are accepted and kept.
    pub accepts_unknown_members: bool,
    /// Members that the published schema lacks are accepted and left out.
    pub drops_unknown_members: bool,
    /// How long writes take.
    pub pace: Pace,
}

/// How long a write takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pace {
    /// No time.
    #[default]
    Immediate,
    /// The time on the build as released.
    Released,
    /// The time on the build with later updates.
    Updated,
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "immediate" => Ok(Self::Immediate),
            "released" => Ok(Self::Released),
            "updated" => Ok(Self::Updated),
            _ => Err(format!("unknown pace {text:?} (known: immediate, released, updated)")),
        }
    }
}

/// A build of Windows: the version and quirks of its HNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The name of the preset, or the version.
    pub name: String,
    /// The version of HNS. Which Windows has which version is partly assumed: 10.5, 11.11 and 15.2 have not been seen on a node.
    pub version: Version,
    pub quirks: Quirks,
}

/// Name, version, and [`Quirks::silent_modify`].
const PRESETS: [(&str, Version, bool); 9] = [
    ("server2019-rtm", Version::new(9, 1), false),
    ("server2019", Version::new(9, 5), false),
    ("1909", Version::new(10, 5), false),
    ("20h2", Version::new(11, 11), false),
    ("server2022", Version::new(13, 3), false),
    ("22h2", Version::new(15, 0), false),
    ("23h2", Version::new(15, 2), false),
    ("server2025", Version::new(15, 4), true),
    ("server2025-updated", Version::new(16, 0), false),
];

/// Other names of presets.
const ALIASES: [(&str, &str); 5] = [
    ("ws2019-rtm", "server2019-rtm"),
    ("ws2019", "server2019"),
    ("ws2022", "server2022"),
    ("ws2025", "server2025"),
    ("latest", "server2025-updated"),
];

impl Build {
    /// The names of the presets.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|(name, ..)| *name)
    }

    /// How long a write takes. For 2000 load balancers, Server 2019 needed 110 minutes and Server 2022 10 minutes, and with later updates 22
    /// minutes and 1 minute (kubernetes 109124). Other builds are assumed to be as the older of the two, or as Server 2022 from 13.0 on.
    pub fn write_time(&self, pace: Pace) -> Duration {
        let older = self.version < Version::new(13, 0);
        Duration::from_millis(match pace {
            Pace::Immediate => 0,
            Pace::Released if older => 3300,
            Pace::Released => 300,
            Pace::Updated if older => 660,
            Pace::Updated => 30,
        })
    }

    /// The build with a version, without a preset.
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
            format!("unknown build {text:?} (known: {}, or an HNS version, e.g. 15.5)", names.join(", "))
        })
    }
}
