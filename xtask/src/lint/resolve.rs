//! Follows a path to the module that defines what it names, through imports, globs and re-exports.

use std::collections::BTreeSet;

use super::tree::{Module, Tree};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Module(usize),
    /// An item, and the module that defines it.
    Item {
        module: usize,
        name: String,
    },
}

/// Follows a path that is written in `module`. `None`: it leads out of the crate, or names something local.
pub(super) fn resolve(tree: &Tree, module: usize, segments: &[String]) -> Option<Target> {
    Search { tree, visited: BTreeSet::new() }.path(module, segments)
}

struct Search<'a> {
    tree: &'a Tree,
    /// Names already under search: re-exports may lead in a circle.
    visited: BTreeSet<(usize, String)>,
}

impl<'a> Search<'a> {
    fn path(&mut self, module: usize, segments: &[String]) -> Option<Target> {
        let (first, mut rest) = segments.split_first()?;
        let mut target = match first.as_str() {
            "crate" => Target::Module(0),
            "self" => Target::Module(module),
            "super" => {
                let mut outer = self.module(module)?.parent?;
                while let Some(after) = rest.strip_prefix(&["super".to_owned()]) {
                    outer = self.module(outer)?.parent?;
                    rest = after;
                }
                Target::Module(outer)
            }
            name => self.name(module, name, rest.is_empty())?,
        };
        while let (&Target::Module(module), Some((name, after))) = (&target, rest.split_first()) {
            // A name that is not found is one that a macro makes: it belongs to the module that the path gives.
            let found = self.name(module, name, after.is_empty());
            target = found.unwrap_or_else(|| Target::Item { module, name: name.clone() });
            rest = after;
        }
        Some(target)
    }

    /// A name as seen in a module. `is_last`: nothing follows it in the path, so that an item is preferred to a module of that name.
    fn name(&mut self, at: usize, name: &str, is_last: bool) -> Option<Target> {
        let module = self.module(at)?;
        let child = module.children.get(name).copied().map(Target::Module);
        if !is_last && child.is_some() {
            return child;
        }
        if module.names.items.contains(name) {
            return Some(Target::Item { module: at, name: name.to_owned() });
        }
        if !self.visited.insert((at, name.to_owned())) {
            return child;
        }
        let imports = module.names.imports.get(name).into_iter().flatten();
        let imported = imports.filter_map(|path| self.path(at, path)).next();
        let found =
            imported.or_else(|| module.names.globs.iter().find_map(|glob| self.through_glob(at, glob, name, is_last)));
        self.visited.remove(&(at, name.to_owned()));
        found.or(child)
    }

    fn through_glob(&mut self, at: usize, glob: &[String], name: &str, is_last: bool) -> Option<Target> {
        match self.path(at, glob)? {
            Target::Module(other) if other != at => self.name(other, name, is_last),
            _ => None,
        }
    }

    fn module(&self, number: usize) -> Option<&'a Module> {
        self.tree.modules.get(number)
    }
}
