//! Module cycles of one target.
//!
//! The child modules of one module, each including everything below it, must not depend on each other in a cycle. This holds at each
//! level, from the crate down. Parent and child may depend on each other. A module depends on another if it mentions an item that the
//! other defines. Imports and re-exports are resolved, so an item counts for the module that defines it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::resolve::{Target, resolve};
use super::tree::Tree;

/// The maximum number of printed names per dependency.
const MAX_NAMES: usize = 8;

/// The items that one module uses from another: file and name, with the first line that mentions the item.
type Ties = BTreeMap<(PathBuf, String), usize>;

/// Dependencies between modules with the same parent, by their numbers.
type Graph = BTreeMap<(usize, usize), Ties>;

/// Modules that depend on each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cycle {
    /// Names of modules, in the order of their declarations.
    pub(super) modules: Vec<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Dependency {
    from: String,
    to: String,
    ties: Ties,
}

impl Cycle {
    /// Each dependency, with its files, lines and names.
    pub(super) fn describe(&self) -> String {
        let mut text = format!("modules {} depend on each other", self.modules.join(", "));
        // Writing to a string succeeds.
        for Dependency { from, to, ties } in &self.dependencies {
            let _ = write!(text, "\n    {from} -> {to}:");
            for ((file, name), line) in ties.iter().take(MAX_NAMES) {
                let _ = write!(text, "\n        {}:{line}: {name}", file.display());
            }
            let more = ties.len().saturating_sub(MAX_NAMES);
            if more > 0 {
                let _ = write!(text, "\n        ({more} more)");
            }
        }
        text
    }

    /// The first file of the cycle.
    pub(super) fn file(&self) -> &Path {
        let ties = self.dependencies.iter().flat_map(|dependency| dependency.ties.keys());
        ties.map(|(file, _)| file.as_path()).next().unwrap_or(Path::new(""))
    }
}

/// All cycles, each with all its modules. No module is in two cycles.
pub(super) fn cycles(tree: &Tree) -> Vec<Cycle> {
    let graph = graph(tree);
    let modules = 0..tree.modules.len();
    let reached: Vec<BTreeSet<usize>> = modules.clone().map(|module| reachable(&graph, module)).collect();
    let reaches = |from: usize, to: usize| reached.get(from).is_some_and(|modules| modules.contains(&to));
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let mut cycles = Vec::new();
    for module in modules.clone() {
        if !reaches(module, module) || seen.contains(&module) {
            continue;
        }
        let members: BTreeSet<usize> =
            modules.clone().filter(|other| reaches(module, *other) && reaches(*other, module)).collect();
        seen.extend(&members);
        let inside = graph.iter().filter(|((from, to), _)| members.contains(from) && members.contains(to));
        let dependency = |((from, to), ties): (&(usize, usize), &Ties)| Dependency {
            from: tree.name(*from),
            to: tree.name(*to),
            ties: ties.clone(),
        };
        cycles.push(Cycle {
            modules: members.iter().map(|module| tree.name(*module)).collect(),
            dependencies: inside.map(dependency).collect(),
        });
    }
    cycles
}

fn graph(tree: &Tree) -> Graph {
    let mut graph = Graph::new();
    for (from, module) in tree.modules.iter().enumerate() {
        for mention in &module.names.mentions {
            let Some(Target::Item { module: to, name }) = resolve(tree, from, &mention.segments) else { continue };
            if let Some(siblings) = siblings(tree, from, to) {
                let ties = graph.entry(siblings).or_default();
                let line = ties.entry((module.file.clone(), name)).or_insert(mention.line);
                *line = mention.line.min(*line);
            }
        }
    }
    graph
}

/// The two modules below the innermost one that contains both. `None` if one contains the other.
fn siblings(tree: &Tree, from: usize, to: usize) -> Option<(usize, usize)> {
    let (from, to) = (tree.path_to(from), tree.path_to(to));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    Some((*from.get(common)?, *to.get(common)?))
}

/// The modules that a module depends on, directly or not. Includes the module itself only if it is in a cycle.
fn reachable(graph: &Graph, start: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(module) = open.pop() {
        for (_, to) in graph.range((module, 0)..=(module, usize::MAX)).map(|(edge, _)| edge) {
            if reached.insert(*to) {
                open.push(*to);
            }
        }
    }
    reached
}
