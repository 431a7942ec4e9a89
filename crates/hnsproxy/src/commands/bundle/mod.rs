//! `bundle`: collects the state of a node in one file, without secrets.

mod logs;
mod manifest;
mod node;
mod part;
mod process;
mod settings;

use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;

use super::doctor::gather;
use super::installed::Node;
use super::{FAILED, IN_SYNC};
use crate::bundle_file::Bundle;
use crate::cli::BundleArgs;
use crate::config::Config;
use crate::error::CommandError;
use crate::redact::Secrets;
use crate::{output, saved_file};
use manifest::{Entry, Manifest, text};
use part::{Absent, Part};

/// The name of the last part: it lists the others.
const MANIFEST: &str = "manifest.json";

pub(super) fn main(args: &BundleArgs, node: &Node, config: &Config) -> Result<u8, CommandError> {
    let unwritable = |source| CommandError::Bundle { path: args.file.clone(), source };
    // Checked before any source is read, so that the command fails early. `save_new` does not replace an existing file either.
    if !args.force && args.file.try_exists().map_err(unwritable)? {
        return Err(CommandError::BundleExists(args.file.clone()));
    }
    node.log();
    let (kubeconfig, secrets) = settings::secrets(config);
    let mut writer = Writer { bundle: Bundle::default(), secrets, entries: Vec::new() };
    writer.add_all(settings::parts(&node.proxy, config, kubeconfig)).map_err(unwritable)?;
    let process = process::read(node);
    let files = [process.log_file(), node.log_file.clone()];
    writer.add_all(process.parts).map_err(unwritable)?;
    writer.add_all(logs::parts(&node.proxy.log_output, files.into_iter().flatten())).map_err(unwritable)?;
    writer.add_all(logs::history(node.state_dir.as_deref())).map_err(unwritable)?;
    progress("HNS, the API server and Windows");
    writer.add_all(node::parts(&node.proxy, gather(node, config))).map_err(unwritable)?;
    let (manifest, content) = writer.finish().map_err(unwritable)?;
    let save = if args.force { saved_file::save } else { saved_file::save_new };
    save(&args.file, &content).map_err(unwritable)?;
    output::print(node.proxy.output.output, &manifest, |_| text(&manifest, &args.file, content.len()))?;
    Ok(if manifest.is_complete() { IN_SYNC } else { FAILED })
}

struct Writer {
    bundle: Bundle,
    secrets: Secrets,
    entries: Vec<Entry>,
}

impl Writer {
    fn add_all(&mut self, parts: Vec<Part>) -> io::Result<()> {
        parts.into_iter().try_for_each(|part| self.add(part))
    }

    fn add(&mut self, Part { name, content }: Part) -> io::Result<()> {
        progress(&name);
        let entry = match content.without_secrets(&self.secrets) {
            Ok(text) => {
                self.bundle.add(&name, &text)?;
                Entry::written(name, text.len())
            }
            Err(Absent::Missing(reason)) => Entry::missing(name, reason),
            Err(Absent::NotApplicable(reason)) => Entry::not_applicable(name, reason),
        };
        self.entries.push(entry);
        Ok(())
    }

    fn finish(mut self) -> io::Result<(Manifest, Vec<u8>)> {
        let manifest = Manifest::of(Timestamp::now(), self.entries);
        self.bundle.add(MANIFEST, &(serde_json::to_string_pretty(&manifest)? + "\n"))?;
        Ok((manifest, self.bundle.finish()?))
    }
}

/// Shows on a terminal which sources are read, because some of them take seconds.
fn progress(what: &str) {
    let mut terminal = io::stderr();
    if terminal.is_terminal() {
        // Progress is not important, so errors of the terminal are ignored.
        let _ = writeln!(terminal, "reading {what}");
    }
}
