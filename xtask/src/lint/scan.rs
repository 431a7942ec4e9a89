//! Reads the items of one module: the names that it defines and imports, and the paths that it mentions.
//!
//! Items under `#[cfg(test)]` are left out. Macro calls are read token by token, since their arguments may not be Rust. String
//! arguments of attributes are read too, since serde takes paths there.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, Meta, UseTree};

/// A path in source code, as its segments: `crate::list::List`.
pub(super) type Segments = Vec<String>;

/// A place that mentions a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) segments: Segments,
    /// Counted from 1.
    pub(super) line: usize,
}

/// The contents of a module, without its child modules.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Items defined here: types, functions, macros and so on.
    pub(super) items: BTreeSet<String>,
    /// Imported names. One name can have several paths, since types, values and macros have separate namespaces.
    pub(super) imports: BTreeMap<String, Vec<Segments>>,
    /// The modules or enums of `use …::*`.
    pub(super) globs: Vec<Segments>,
    pub(super) mentions: Vec<Mention>,
}

impl Names {
    pub(super) fn of(items: &[Item]) -> Self {
        let mut scan = Scan::default();
        for item in items {
            if let Some(name) = defined_name(item) {
                scan.names.items.insert(name.to_string());
            }
            scan.visit_item(item);
        }
        scan.names
    }
}

/// Whether the attributes restrict an item to tests: `#[cfg(test)]`, or a condition that implies it.
pub(super) fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<Meta>().is_ok_and(|condition| implies_test(&condition))
    })
}

fn implies_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => {
            let nested = list.parse_args_with(syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated);
            let nested: Vec<Meta> = nested.into_iter().flatten().collect();
            if list.path.is_ident("all") {
                nested.iter().any(implies_test)
            } else {
                list.path.is_ident("any") && !nested.is_empty() && nested.iter().all(implies_test)
            }
        }
        Meta::NameValue(_) => false,
    }
}

fn defined_name(item: &Item) -> Option<&Ident> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Macro(item) => item.ident.as_ref(),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::TraitAlias(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[derive(Default)]
struct Scan {
    names: Names,
}

impl Scan {
    fn mention(&mut self, segments: Segments, span: Span) {
        self.names.mentions.push(Mention { segments, line: span.start().line });
    }

    fn import(&mut self, before: &Segments, tree: &UseTree) {
        let with = |name: &Ident| before.iter().cloned().chain([name.to_string()]).collect::<Segments>();
        match tree {
            UseTree::Path(path) => self.import(&with(&path.ident), &path.tree),
            UseTree::Name(name) if name.ident == "self" => {
                self.import_as(before.last(), before.clone(), name.ident.span())
            }
            UseTree::Name(name) => self.import_as(Some(&name.ident.to_string()), with(&name.ident), name.ident.span()),
            UseTree::Rename(rename) => {
                let segments = if rename.ident == "self" { before.clone() } else { with(&rename.ident) };
                self.import_as(Some(&rename.rename.to_string()), segments, rename.ident.span());
            }
            UseTree::Glob(glob) => {
                self.mention(before.clone(), glob.star_token.spans[0]);
                self.names.globs.push(before.clone());
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(before, tree)),
        }
    }

    fn import_as(&mut self, alias: Option<&String>, segments: Segments, span: Span) {
        if let Some(alias) = alias {
            self.names.imports.entry(alias.clone()).or_default().push(segments.clone());
        }
        self.mention(segments, span);
    }

    /// Finds paths in arbitrary tokens: identifiers joined by `::`.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Segments = Vec::new();
        let mut start = Span::call_site();
        let mut colons = 0;
        // A field or method follows a dot, and is not a path.
        let mut after_dot = false;
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) => {
                    if colons != 2 || path.is_empty() {
                        self.end_path(&mut path, start);
                        start = ident.span();
                    }
                    if !after_dot {
                        path.push(ident.to_string());
                    }
                    (colons, after_dot) = (0, false);
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                    continue;
                }
                TokenTree::Punct(punct) => after_dot = punct.as_char() == '.',
                TokenTree::Group(group) => {
                    self.end_path(&mut path, start);
                    self.tokens(group.stream());
                    after_dot = false;
                }
                TokenTree::Literal(_) => after_dot = false,
            }
            self.end_path(&mut path, start);
            colons = 0;
        }
        self.end_path(&mut path, start);
    }

    fn end_path(&mut self, path: &mut Segments, start: Span) {
        if !path.is_empty() {
            self.mention(std::mem::take(path), start);
        }
    }

    /// Finds paths in the strings of an attribute: `#[serde(with = "crate::text")]`.
    fn strings(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.strings(group.stream()),
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let Some(text) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { continue };
                    let segments: Segments = text.split("::").map(str::to_owned).collect();
                    if segments.len() > 1
                        && segments
                            .iter()
                            .all(|segment| syn::parse_str::<Ident>(segment).is_ok() || is_keyword(segment))
                    {
                        self.mention(segments, literal.span());
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

fn is_keyword(segment: &str) -> bool {
    matches!(segment, "crate" | "self" | "super")
}

impl<'ast> Visit<'ast> for Scan {
    fn visit_item(&mut self, item: &'ast Item) {
        // The tree contains child modules separately.
        if !matches!(item, Item::Mod(_)) && !is_test_only(attributes_of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Const(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_test_only(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&Vec::new(), &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let span = path.segments.first().map_or_else(Span::call_site, |segment| segment.ident.span());
            self.mention(segments, span);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::List(list) if !attribute.path().is_ident("doc") => self.strings(list.tokens.clone()),
            _ => {}
        }
    }
}
