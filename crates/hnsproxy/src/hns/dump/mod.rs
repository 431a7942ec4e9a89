//! Reads what people collect from a node: what `Get-HnsNetwork`, `Get-HnsEndpoint` and `Get-HnsPolicyList | ConvertTo-Json` print, in one
//! file, or in a directory of files that a script wrote. What cannot be read is named and left out.

mod document;
mod json;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use cluster_source::{error_chain, read_text};
use hcn::{Guid, Kind, Version};
use hcn_emulator::Host;
use serde::Deserialize;
use serde_json::Value;

use super::HnsError;
use crate::bundle_file::{self, is_bundle};
use json::Part;

/// The extensions of files that are read in a directory. Scripts write JSON to text files, too.
const EXTENSIONS: [&str; 3] = ["json", "txt", "log"];
/// The version of HNS that is assumed if nothing has one: on the bare host, and in dumps in the v2 schema.
pub(super) const ASSUMED_VERSION: Version = Version::new(15, 5);
/// Objects inside of objects are read up to this depth: lists by kind, inside of `{"value": [...], "Count": 2}` or of the envelope of HNS.
const MAX_DEPTH: u32 = 2;

/// The content of a file or directory.
pub(super) enum Content {
    /// A host document, which must be valid.
    Host(Host),
    Dump(Dump),
}

/// The objects of a node.
#[derive(Debug, Default)]
pub(super) struct Dump {
    /// What is known of the node, without objects.
    pub(super) host: Host,
    /// The documents, in the v2 schema.
    pub(super) objects: Vec<(Kind, Value)>,
    /// Whether no object has the version of HNS.
    pub(super) version_is_assumed: bool,
    pub(super) left_out: Vec<LeftOut>,
}

/// A part that cannot be read.
#[derive(Debug, PartialEq)]
pub(super) struct LeftOut {
    /// The file, and the line or the object.
    place: String,
    reason: String,
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

/// Reads a host document, a dump, a directory of dumps, or a bundle.
///
/// # Errors
/// If the file or directory cannot be read, if the host document is invalid, or if there is no HNS object.
pub(super) fn read(path: &Path) -> Result<Content, HnsError> {
    let unreadable = |source| HnsError::Unreadable { path: path.to_owned(), source };
    if is_bundle(path) {
        let text = bundle_file::read_part(path, bundle_file::HNS).map_err(unreadable)?;
        return of_text(&bundle_file::part_path(path, bundle_file::HNS), &text);
    }
    if !path.is_dir() {
        return of_text(path, &read_text(path).map_err(unreadable)?);
    }
    let mut collected = Collected::default();
    for file in files(path).map_err(unreadable)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match read_text(&file) {
            Ok(text) => collected.add_file_of_many(&name, &text),
            Err(error) => collected.leave_out(name, error_chain(&error)),
        }
    }
    collected.into_content(path)
}

/// As [`read`], of the text of a file.
///
/// # Errors
/// If it is an invalid host document, or has no HNS object.
pub(super) fn of_text(path: &Path, text: &str) -> Result<Content, HnsError> {
    if is_host_document(text) {
        let invalid =
            |error: serde_json::Error| HnsError::InvalidHost { path: path.to_owned(), reason: error.to_string() };
        return serde_json::from_str(text).map(Content::Host).map_err(invalid);
    }
    let mut collected = Collected::default();
    collected.add_file(&path.file_name().unwrap_or_default().to_string_lossy(), json::parts(text));
    collected.into_content(path)
}

/// The files of a directory that can be dumps, in the order of their names.
fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if EXTENSIONS.contains(&extension.as_str()) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a text is a host document: its lists are the objects, in the v2 schema. An object with other lists is a dump, even if it has
/// facts about the host.
fn is_host_document(text: &str) -> bool {
    let Ok(Value::Object(members)) = serde_json::from_str(text) else { return false };
    let is_fact = |name: &String| ["objects", "nodeIPs"].contains(&name.as_str());
    let has_others = members.iter().any(|(name, value)| !is_fact(name) && (value.is_array() || value.is_object()));
    (members.contains_key("objects") || members.contains_key("hnsVersion")) && !has_others
}

/// What was found so far.
#[derive(Default)]
struct Collected {
    dump: Dump,
    /// The facts of a host document among the files.
    facts: Option<Host>,
    /// The newest version of HNS that an object has.
    version: Option<Version>,
    known: HashSet<(Kind, Guid)>,
}

impl Collected {
    fn leave_out(&mut self, place: String, reason: String) {
        self.dump.left_out.push(LeftOut { place, reason });
    }

    /// Adds a file of a directory. Most files that a script collects are no dumps of HNS: one without an object is left out silently, unless
    /// it has JSON that is invalid.
    fn add_file_of_many(&mut self, name: &str, text: &str) {
        let parts = json::parts(text);
        let is_used = |value: &Value| has_documents(value, 0) || value.get("hnsVersion").is_some();
        if parts.iter().any(|part| part.value.as_ref().is_ok_and(is_used)) {
            self.add_file(name, parts);
        } else if let Some(Part { line, value: Err(reason) }) = parts.into_iter().find(|part| part.value.is_err()) {
            self.leave_out(format!("{name}, line {line}"), reason);
        }
    }

    fn add_file(&mut self, name: &str, parts: Vec<Part>) {
        // Scripts print the networks twice, the second time with details. The same object twice in one file is a mistake.
        let known = std::mem::take(&mut self.known);
        for Part { line, value } in parts {
            let place = format!("{name}, line {line}");
            match value {
                Ok(value) => self.add(&place, document::unwrap_lists(value), &known, 0),
                Err(reason) => self.leave_out(place, reason),
            }
        }
        self.known.extend(known);
    }

    fn add(&mut self, place: &str, value: Value, known: &HashSet<(Kind, Guid)>, depth: u32) {
        match value {
            Value::Array(list) => {
                for (index, value) in list.into_iter().enumerate() {
                    self.add(&format!("{place}[{index}]"), value, known, depth);
                }
            }
            Value::Object(members) => match document::form(&members) {
                Some(form) => self.add_document(place, form, Value::Object(members), known),
                None if depth < MAX_DEPTH && members.values().any(|value| has_documents(value, depth + 1)) => {
                    self.add_facts(place, &members);
                    for (name, value) in members.into_iter().filter(|(_, value)| value.is_array() || value.is_object())
                    {
                        self.add(&format!("{place}, {name}"), value, known, depth + 1);
                    }
                }
                None if members.contains_key("hnsVersion") => self.add_facts(place, &members),
                None if depth == 0 => {
                    self.leave_out(place.to_owned(), "not a network, an endpoint or a load balancer of HNS".to_owned());
                }
                None => {}
            },
            _ => {}
        }
    }

    /// Facts about the host beside the objects, as in a host document.
    fn add_facts(&mut self, place: &str, members: &serde_json::Map<String, Value>) {
        if members.contains_key("hnsVersion") {
            let facts = members.iter().filter(|(name, _)| *name != "objects");
            let facts = Value::Object(facts.map(|(name, value)| (name.clone(), value.clone())).collect());
            match Host::deserialize(facts) {
                Ok(facts) => self.facts = Some(facts),
                Err(error) => self.leave_out(place.to_owned(), error.to_string()),
            }
        }
    }

    fn add_document(&mut self, place: &str, form: document::Form, mut document: Value, known: &HashSet<(Kind, Guid)>) {
        if let Value::Object(members) = &mut document {
            members.shift_remove("_kind");
        }
        let label = ["Name", "ID"].into_iter().find_map(|member| document.get(member)?.as_str()).unwrap_or_default();
        let place = if label.is_empty() { place.to_owned() } else { format!("{place} ({label})") };
        for member in document::cut_off(&document) {
            let reason = format!("{member} is cut off: collect it with ConvertTo-Json -Depth 20");
            self.dump.left_out.push(LeftOut { place: place.clone(), reason });
        }
        let version = document.get("Version").and_then(Value::as_u64);
        let address = document.get("ManagementIP").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let (kind, id, document) = match document::convert(form, document) {
            Ok(Some(converted)) => converted,
            Ok(None) => return,
            Err(reason) => return self.leave_out(place, reason),
        };
        if known.contains(&(kind, id)) {
            return;
        }
        if !self.known.insert((kind, id)) {
            return self.leave_out(place, format!("duplicate ID {id}"));
        }
        // An object has the version of the HNS that made it. After an update of Windows, older ones may be left.
        self.version = self.version.max(version.and_then(version_of));
        let ips = &mut self.dump.host.node_ips;
        ips.extend(address.filter(|ip| !ips.contains(ip)));
        self.dump.objects.push((kind, document));
    }

    /// # Errors
    /// If no object was found.
    fn into_content(self, path: &Path) -> Result<Content, HnsError> {
        let dump = self.finish();
        if dump.objects.is_empty() {
            let nothing = || "no network, endpoint or load balancer of HNS found".to_owned();
            let reason = dump.left_out.first().map_or_else(nothing, ToString::to_string);
            return Err(HnsError::InvalidHost { path: path.to_owned(), reason });
        }
        Ok(Content::Dump(dump))
    }

    fn finish(self) -> Dump {
        let Self { mut dump, facts, version, .. } = self;
        dump.version_is_assumed = facts.is_none() && version.is_none();
        dump.host.hns_version = version.unwrap_or(ASSUMED_VERSION).to_string();
        if let Some(facts) = facts {
            let node_ips = if facts.node_ips.is_empty() { dump.host.node_ips } else { facts.node_ips.clone() };
            dump.host = Host { node_ips, objects: Vec::new(), ..facts };
        }
        dump
    }
}

/// Whether a value is a document of HNS, or has some inside.
fn has_documents(value: &Value, depth: u32) -> bool {
    match value {
        Value::Array(list) => list.iter().any(|value| has_documents(value, depth)),
        Value::Object(members) => {
            let is_used = |form| form != document::Form::Unused;
            let inside = || depth < MAX_DEPTH && members.values().any(|value| has_documents(value, depth + 1));
            document::form(members).map_or_else(inside, is_used)
        }
        _ => false,
    }
}

/// The version of HNS in the member `Version` of an object of the v1 schema.
fn version_of(number: u64) -> Option<Version> {
    let version = Version::new(u32::try_from(number >> 32).ok()?, u32::try_from(number & u64::from(u32::MAX)).ok()?);
    (version.major > 0).then_some(version)
}
