//! The modules of one target, found through its `mod` declarations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use proc_macro2::LineColumn;
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta};

use super::finding::Finding;
use super::scan::{Names, is_test_only};

/// Source files by their path, relative to the root of the workspace.
pub(super) type Sources = BTreeMap<PathBuf, String>;

/// One module. Its number is its position in [`Tree::modules`].
#[derive(Debug)]
pub(super) struct Module {
    /// The path from the root of the crate; empty for the root.
    pub(super) path: Vec<String>,
    pub(super) file: PathBuf,
    pub(super) parent: Option<usize>,
    pub(super) children: BTreeMap<String, usize>,
    pub(super) names: Names,
}

/// The modules of one target, without modules of tests. The first module is the root.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) modules: Vec<Module>,
    /// All files of `mod` declarations, including those of test modules.
    pub(super) files: BTreeSet<PathBuf>,
    pub(super) findings: Vec<Finding>,
}

impl Tree {
    /// Reads the target whose root file is `root`.
    pub(super) fn read(root: &Path, sources: &Sources) -> Self {
        let mut tree = Self::default();
        let place = Place { name: None, parent: None, file: root.to_owned(), folder: parent_of(root), is_test: false };
        tree.read_file(&place, sources);
        tree
    }

    /// The name of a module for people: `plan::step`, or `crate` for the root.
    pub(super) fn name(&self, module: usize) -> String {
        match self.modules.get(module) {
            Some(module) if !module.path.is_empty() => module.path.join("::"),
            _ => "crate".to_owned(),
        }
    }

    /// The modules from the root down to one, both included.
    pub(super) fn path_to(&self, module: usize) -> Vec<usize> {
        let outer = |module: &usize| self.modules.get(*module).and_then(|module| module.parent);
        let mut path: Vec<usize> = std::iter::successors(Some(module), outer).collect();
        path.reverse();
        path
    }

    fn read_file(&mut self, place: &Place, sources: &Sources) {
        self.files.insert(place.file.clone());
        let Some(source) = sources.get(&place.file) else {
            self.findings.push(Finding::in_file(&place.file, "file of a `mod` declaration not found"));
            return;
        };
        match syn::parse_file(source) {
            Ok(file) => self.read_module(place, &file.items, sources),
            Err(error) => {
                let LineColumn { line, .. } = error.span().start();
                self.findings.push(Finding::at(&place.file, line, format!("cannot parse: {error}")));
            }
        }
    }

    fn read_module(&mut self, place: &Place, items: &[Item], sources: &Sources) {
        let number = (!place.is_test).then(|| self.add(place, items));
        for item in items {
            let Item::Mod(declaration) = item else { continue };
            let inner = place.inner(declaration, number, sources);
            match &declaration.content {
                Some((_, items)) => self.read_module(&inner, items, sources),
                None => self.read_file(&inner, sources),
            }
        }
    }

    fn add(&mut self, place: &Place, items: &[Item]) -> usize {
        let number = self.modules.len();
        let mut path = Vec::new();
        if let (Some(parent), Some(name)) = (place.parent, &place.name) {
            if let Some(parent) = self.modules.get_mut(parent) {
                parent.children.insert(name.clone(), number);
                path = parent.path.clone();
            }
            path.push(name.clone());
        }
        self.modules.push(Module {
            path,
            file: place.file.clone(),
            parent: place.parent,
            children: BTreeMap::new(),
            names: Names::of(items),
        });
        number
    }
}

/// The file that declares a module, and the folder of the files of its child modules.
struct Place {
    name: Option<String>,
    parent: Option<usize>,
    file: PathBuf,
    folder: PathBuf,
    is_test: bool,
}

impl Place {
    fn inner(&self, declaration: &ItemMod, parent: Option<usize>, sources: &Sources) -> Self {
        let name = declaration.ident.to_string();
        let is_test = self.is_test || is_test_only(&declaration.attrs);
        let (file, folder) = match (&declaration.content, path_attribute(&declaration.attrs)) {
            (Some(_), _) => (self.file.clone(), self.folder.join(&name)),
            // A file of a `path` attribute is the root of its folder, like `mod.rs`.
            (None, Some(path)) => {
                let file = normalized(&parent_of(&self.file).join(path));
                let folder = parent_of(&file);
                (file, folder)
            }
            (None, None) => {
                let nested = self.folder.join(&name).join("mod.rs");
                let flat = self.folder.join(format!("{name}.rs"));
                (if sources.contains_key(&nested) { nested } else { flat }, self.folder.join(&name))
            }
        };
        Self { name: Some(name), parent, file, folder, is_test }
    }
}

fn parent_of(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).to_owned()
}

/// The path without `..`, as in the list of sources. A `path` attribute may lead out of the folder of its file.
fn normalized(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(normalized.pop()),
            component => normalized.push(component),
        }
    }
    normalized
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    })
}
