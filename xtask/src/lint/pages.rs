//! Rules for pages of `docs/` that must match the code: the differences from kube-proxy, the assumptions about HNS, and the reasons of
//! conditions.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::finding::Finding;
use super::workspace::Workspace;

const DIFFERENCES: &str = "docs/differences.md";
/// A page, and the title of its section about what happens where an assumption does not hold.
const ASSUMPTIONS: (&str, &str) = ("docs/windows.md", "## Where HNS differs from what is assumed");
const SERVICES: &str = "docs/services.md";
/// Explains the reasons why the node is not ready.
const API: &str = "docs/api.md";
const SCENARIOS: &str = "crates/hnsproxy/tests/scenarios";
const RECORDINGS: &str = "crates/hnsproxy/tests/recordings";
/// The line between the input of a scenario and its outcome.
const SCENARIO_OUTCOME: &str = "==========";
/// The folder and the name of the method that returns the reason of a condition.
const REASON: (&str, &str) = ("crates/proxy/src", "reason");

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let known = known_tests(workspace);
    let mut findings = differences(workspace, &known);
    findings.extend(assumptions(workspace, &known));
    findings.extend(reasons(workspace));
    findings
}

/// The path, text and name of each scenario.
fn scenarios(workspace: &Workspace) -> impl Iterator<Item = (&Path, &str, &str)> {
    workspace
        .files
        .iter()
        .filter(|(path, _)| {
            path.starts_with(SCENARIOS) && path.extension().is_some_and(|extension| extension == "yaml")
        })
        .filter_map(|(path, text)| Some((path.as_path(), text.as_str(), path.file_stem()?.to_str()?)))
}

/// The names of all tests, scenarios and recordings.
fn known_tests(workspace: &Workspace) -> BTreeSet<String> {
    let mut known: BTreeSet<String> = scenarios(workspace).map(|(_, _, name)| name.to_owned()).collect();
    known.extend(workspace.files.keys().filter_map(|path| {
        Some(path.strip_prefix(RECORDINGS).ok()?.components().next()?.as_os_str().to_str()?.to_owned())
    }));
    known.extend(workspace.sources().flat_map(|(_, text)| function_names(text)));
    known
}

/// Each row of the page names tests, scenarios or recordings that exist, and each scenario with `differs` has a row.
fn differences(workspace: &Workspace, known: &BTreeSet<String>) -> Vec<Finding> {
    let page_path = Path::new(DIFFERENCES);
    let Some(page) = workspace.files.get(page_path) else { return vec![Finding::in_file(page_path, "missing")] };
    let (listed, mut findings) = rows(page_path, page, known);
    for (path, text, name) in scenarios(workspace) {
        findings.extend(scenario(path, text, listed.contains(name)));
    }
    findings
}

/// Each row of the section names tests that exist.
fn assumptions(workspace: &Workspace, known: &BTreeSet<String>) -> Vec<Finding> {
    let (path, title) = (Path::new(ASSUMPTIONS.0), ASSUMPTIONS.1);
    let page = workspace.files.get(path).map(String::as_str).unwrap_or_default();
    match section(page, title) {
        Some(section) => rows(path, &section, known).1,
        None => vec![Finding::in_file(path, format!("missing section {title:?}"))],
    }
}

/// A page with empty lines instead of those outside of a section, so that lines keep their numbers.
pub(super) fn section(page: &str, title: &str) -> Option<String> {
    let begin = page.lines().position(|line| line == title)?;
    let end = page.lines().skip(begin + 1).position(|line| line.starts_with("## ")).map(|length| begin + 1 + length);
    let is_inside = |index: usize| index >= begin && end.is_none_or(|end| index < end);
    let lines = page.lines().enumerate().map(|(index, line)| if is_inside(index) { line } else { "" });
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// The names in the rows, and the findings about the rows.
pub(super) fn rows(page_path: &Path, page: &str, known: &BTreeSet<String>) -> (BTreeSet<String>, Vec<Finding>) {
    let mut listed = BTreeSet::new();
    let mut findings = Vec::new();
    for (index, row) in
        page.lines().enumerate().filter(|(_, line)| line.starts_with("| ") && !line.starts_with("| What |"))
    {
        let last = row.trim_end().trim_end_matches('|').rsplit(" | ").next().unwrap_or_default();
        let names: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            findings.push(Finding::at(page_path, index + 1, "missing test in the row"));
        }
        for name in names {
            if !known.contains(name) {
                findings.push(Finding::at(
                    page_path,
                    index + 1,
                    format!("{name} not found: expected a test, scenario or recording"),
                ));
            }
            listed.insert(name.to_owned());
        }
    }
    (listed, findings)
}

/// The findings about a scenario. Its keys are at the beginning of lines.
pub(super) fn scenario(path: &Path, text: &str, is_listed: bool) -> Vec<Finding> {
    let input = text.split(SCENARIO_OUTCOME).next().unwrap_or_default();
    let has =
        |key: &str| input.lines().any(|line| line.strip_prefix(key).is_some_and(|value| !value.trim().is_empty()));
    let mut findings = Vec::new();
    if !has("about:") {
        findings.push(Finding::in_file(path, "missing `about`"));
    }
    if has("differs:") && !is_listed {
        findings.push(Finding::in_file(
            path,
            format!("the scenario differs from kube-proxy, but is not listed in {DIFFERENCES}"),
        ));
    }
    findings
}

/// Names of all functions, including those inside macro calls, since `proptest!` contains tests.
pub(super) fn function_names(source: &str) -> BTreeSet<String> {
    let mut names = Functions::default();
    if let Ok(file) = syn::parse_file(source) {
        names.visit_file(&file);
    }
    names.0
}

#[derive(Default)]
struct Functions(BTreeSet<String>);

impl Functions {
    fn tokens(&mut self, tokens: TokenStream) {
        let mut after_fn = false;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if after_fn {
                        self.0.insert(ident.to_string());
                    }
                    after_fn = ident == "fn";
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => after_fn = false,
            }
        }
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.0.insert(function.sig.ident.to_string());
        visit::visit_item_fn(self, function);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
    }
}

/// A page for operators explains each reason of a condition.
fn reasons(workspace: &Workspace) -> Vec<Finding> {
    let page_path = Path::new(SERVICES);
    let Some(page) = workspace.files.get(page_path) else { return vec![Finding::in_file(page_path, "missing")] };
    let api_page = workspace.files.get(Path::new(API)).map_or("", String::as_str);
    let (folder, method) = REASON;
    let reasons: BTreeSet<String> = workspace
        .sources()
        .filter(|(path, _)| path.starts_with(folder))
        .flat_map(|(_, text)| strings_of_method(text, method))
        .filter(|text| is_camel_case(text))
        .collect();
    if reasons.is_empty() {
        return vec![Finding::in_file(
            Path::new(folder),
            format!("method `{method}` not found: if it was renamed, change this rule"),
        )];
    }
    let missing = reasons.iter().filter(|reason| {
        let name = format!("`{reason}`");
        !page.contains(&name) && !api_page.contains(&name)
    });
    missing
        .map(|reason| {
            Finding::in_file(
                page_path,
                format!("missing explanation of the reason {reason}, which {API} does not have either"),
            )
        })
        .collect()
}

/// Whether a text has the form of a Kubernetes reason, such as `PortInUse`. Other methods with this name may return sentences.
pub(super) fn is_camel_case(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric())
}

/// The string literals in all methods of a name.
pub(super) fn strings_of_method(source: &str, method: &str) -> BTreeSet<String> {
    let mut strings = Strings { method, inside: false, found: BTreeSet::new() };
    if let Ok(file) = syn::parse_file(source) {
        strings.visit_file(&file);
    }
    strings.found
}

struct Strings<'a> {
    method: &'a str,
    inside: bool,
    found: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Strings<'_> {
    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.inside = function.sig.ident == self.method;
        visit::visit_impl_item_fn(self, function);
        self.inside = false;
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        if self.inside {
            self.found.insert(literal.value());
        }
    }
}
