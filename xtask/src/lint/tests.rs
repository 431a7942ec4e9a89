//! Tests of the rules, on small sources.

use std::collections::BTreeSet;
use std::path::Path;

use super::cycles::cycles;
use super::finding::Finding;
use super::tree::{Sources, Tree};
use super::{files, pages, paths};

fn sources(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(path, text)| ((*path).into(), (*text).to_owned())).collect()
}

fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::read(Path::new("src/lib.rs"), &sources(files))
}

fn cycles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let tree = tree(files);
    assert_eq!(tree.findings, []);
    cycles(&tree).into_iter().map(|cycle| cycle.modules).collect()
}

const NONE: [Vec<String>; 0] = [];

#[test]
fn imports_between_siblings_are_a_cycle_with_its_lines() {
    let tree = tree(&[
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "use crate::b::{self, B as Other};\npub struct A;\nfn f() -> Other { b::make() }"),
        ("src/b.rs", "\npub struct B(super::a::A);\npub fn make() -> B { loop {} }"),
    ]);
    let cycles = cycles(&tree);
    let described: Vec<String> = cycles.iter().map(|cycle| cycle.describe()).collect();
    let expected = "modules a, b depend on each other\
        \n    a -> b:\n        src/a.rs:1: B\n        src/a.rs:3: make\
        \n    b -> a:\n        src/b.rs:2: A";
    assert_eq!(described, [expected]);
}

#[test]
fn one_direction_is_not_a_cycle() {
    let files =
        [("src/lib.rs", "mod a; mod b; pub use a::A;"), ("src/a.rs", "pub struct A;"), ("src/b.rs", "use crate::A;")];
    assert_eq!(cycles_of(&files), NONE);
}

#[test]
fn a_cycle_through_a_re_export_of_the_parent_is_found() {
    let files = [
        ("src/lib.rs", "mod a; mod b; pub use a::A; pub use b::*;"),
        ("src/a.rs", "use super::B;\npub struct A;"),
        ("src/b.rs", "use crate::A;\npub struct B;"),
    ];
    assert_eq!(cycles_of(&files), [["a", "b"]]);
}

#[test]
fn a_cycle_through_a_glob_of_the_parent_is_found() {
    let files = [
        ("src/lib.rs", "mod a; mod b; use a::A; use b::B;"),
        ("src/a.rs", "use super::*;\npub struct A(B);"),
        ("src/b.rs", "use super::*;\npub struct B(Option<Box<A>>);"),
    ];
    assert_eq!(cycles_of(&files), [["a", "b"]]);
}

#[test]
fn parent_and_child_may_depend_on_each_other() {
    let files = [
        ("src/lib.rs", "mod a; pub struct Root;"),
        ("src/a/mod.rs", "mod inner; use inner::Inner; pub struct A(Inner);"),
        ("src/a/inner.rs", "use super::A; use crate::Root; pub struct Inner(Option<Box<A>>, Root);"),
    ];
    assert_eq!(cycles_of(&files), NONE);
}

#[test]
fn a_module_includes_everything_below_it() {
    let files = [
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a/mod.rs", "pub mod one; pub mod two;"),
        ("src/a/one.rs", "use crate::b::B;"),
        ("src/a/two.rs", "pub struct Two;"),
        ("src/b.rs", "pub struct B(crate::a::two::Two);"),
    ];
    assert_eq!(cycles_of(&files), [["a", "b"]]);
}

#[test]
fn cycles_are_found_at_their_level_of_the_tree() {
    let files = [
        ("src/lib.rs", "mod a;"),
        ("src/a.rs", "mod one; mod two; mod three;"),
        ("src/a/one.rs", "use super::two::Two; pub struct One;"),
        ("src/a/two.rs", "use super::three::Three; pub struct Two;"),
        ("src/a/three.rs", "use super::one::One; pub struct Three;"),
    ];
    assert_eq!(cycles_of(&files), [["a::one", "a::two", "a::three"]]);
}

#[test]
fn macros_and_strings_of_attributes_are_read() {
    let files = [
        ("src/lib.rs", "mod a; mod b; mod c;"),
        ("src/a.rs", "macro_rules! m { () => { $crate::b::B }; }\npub(crate) use m;\npub fn text() {}"),
        ("src/b.rs", "pub struct B;\nfn f() { println!(\"{}\", crate::c::number(1)); }"),
        ("src/c.rs", "#[serde(with = \"crate::a::text\")] pub struct C;\npub fn number(n: u8) -> u8 { n }"),
    ];
    assert_eq!(cycles_of(&files), [["a", "b", "c"]]);
}

#[test]
fn items_of_tests_are_left_out() {
    let files = [
        ("src/lib.rs", "mod a; mod b; #[cfg(test)] mod testing;"),
        (
            "src/a.rs",
            "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }\n#[cfg(all(test, unix))] use crate::b::B;",
        ),
        ("src/b.rs", "pub struct B(crate::a::A); impl B { #[cfg(test)] fn t() -> crate::testing::T { loop {} } }"),
        ("src/testing.rs", "use crate::a::A; pub struct T;"),
    ];
    assert_eq!(cycles_of(&files), NONE);
    assert!(tree(&files).files.contains(Path::new("src/testing.rs")));
}

#[test]
fn fields_and_local_names_are_not_dependencies() {
    let files = [
        ("src/lib.rs", "mod a; mod b;"),
        (
            "src/a.rs",
            "use crate::b::B; pub struct A { pub b: u8 } fn f(a: A) -> u8 { let list = a.b; assert!(a.b == list); list }",
        ),
        ("src/b.rs", "pub struct B; fn list() {} fn g(a: u8) -> u8 { let a = a; a }"),
    ];
    assert_eq!(cycles_of(&files), NONE);
}

#[test]
fn a_cycle_of_re_exports_ends_the_search() {
    let files = [
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "pub use crate::b::*; pub use crate::b::X;"),
        ("src/b.rs", "pub use crate::a::*; pub use crate::a::X;"),
    ];
    // No name is defined anywhere, so the dependencies are unknown.
    assert_eq!(cycles_of(&files).len(), 1);
}

#[test]
fn each_module_has_its_file() {
    let files = [
        (
            "src/lib.rs",
            "mod a; mod inline { mod deep; } #[path = \"other/place.rs\"] mod named; #[path = \"../support/mod.rs\"] mod support;",
        ),
        ("src/a/mod.rs", "mod b;"),
        ("src/a/b.rs", "mod c;"),
        ("src/a/b/c.rs", ""),
        ("src/inline/deep.rs", ""),
        ("src/other/place.rs", "mod beside;"),
        ("src/other/beside.rs", ""),
        ("support/mod.rs", ""),
        ("src/orphan.rs", ""),
    ];
    let tree = tree(&files);
    let expected: BTreeSet<_> =
        files.iter().map(|(path, _)| path.into()).filter(|path| path != Path::new("src/orphan.rs")).collect();
    assert_eq!((tree.files, tree.findings), (expected, vec![]));
}

#[test]
fn a_module_without_a_file_and_an_invalid_file_are_found() {
    let missing = Finding::in_file(Path::new("src/a.rs"), "file of a `mod` declaration not found");
    assert_eq!(tree(&[("src/lib.rs", "mod a;")]).findings, [missing]);
    let broken = tree(&[("src/lib.rs", "mod a;"), ("src/a.rs", "fn\n}")]).findings;
    assert_eq!(broken.len(), 1);
    assert!(broken.iter().all(|finding| finding.to_string().starts_with("src/a.rs:2: cannot parse: ")));
}

#[test]
fn paths_in_pages_that_do_not_exist_are_found() {
    let text = "`crates/a/src/` and `crates/b.rs`\n`crates/{a,b}`, `/healthz`, `--flag=docs/x`, `crates/NAME here`\n`docs/c.md`";
    let findings = paths::missing(Path::new("a.md"), text, |path| path == "crates/a/src/");
    let expected = [(1, "crates/b.rs does not exist"), (3, "docs/c.md does not exist")];
    assert_eq!(findings, expected.map(|(line, message)| Finding::at(Path::new("a.md"), line, message)));
}

#[test]
fn a_file_opens_with_its_responsibility() {
    let path = Path::new("a.rs");
    assert_eq!(files::header(path, "//! Reads files.\n"), None);
    for text in ["", "\n//! Late.", "//!\n", "// Comment.", "use a;"] {
        assert!(files::header(path, text).is_some(), "{text:?}");
    }
}

#[test]
fn files_above_the_limit_are_reported() {
    let path = Path::new("a.rs");
    let (short, long) = ("\n".repeat(files::MAX_LINES), "\n".repeat(files::MAX_LINES + 1));
    assert_eq!(files::length(path, &short), None);
    assert!(files::length(path, &long).is_some());
}

#[test]
fn paths_of_a_machine_are_found() {
    let machine = ["/folder/of/someone".to_owned()];
    let found = files::machine_path(Path::new("a.md"), "one\nsee /folder/of/someone/x\n", &machine);
    assert_eq!(found, Some(Finding::at(Path::new("a.md"), 2, "a path of one machine: /folder/of/someone")));
    assert_eq!(files::machine_path(Path::new("a.md"), "see folder/of", &machine), None);
}

#[test]
fn rows_of_the_page_name_tests_that_exist() {
    let known = BTreeSet::from(["p01".to_owned(), "a_test".to_owned()]);
    let page = "| What | Shown by |\n|---|---|\n| a | `p01` `a_test` |\n| b | nothing |\n| c | `p02` |\n";
    let path = Path::new("docs/differences.md");
    let (listed, findings) = pages::rows(path, page, &known);
    assert_eq!(listed, BTreeSet::from(["a_test".to_owned(), "p01".to_owned(), "p02".to_owned()]));
    let expected = [
        Finding::at(path, 4, "missing test in the row"),
        Finding::at(path, 5, "p02 not found: expected a test, scenario or recording"),
    ];
    assert_eq!(findings, expected);
}

#[test]
fn a_section_keeps_the_numbers_of_its_lines() {
    let page = "# a\n## b\n| x |\n### c\n## d\n| y |\n";
    assert_eq!(pages::section(page, "## b").as_deref(), Some("\n## b\n| x |\n### c\n\n"));
    assert_eq!(pages::section(page, "## d").as_deref(), Some("\n\n\n\n## d\n| y |"));
    assert_eq!(pages::section(page, "## e"), None);
}

#[test]
fn a_scenario_that_differs_must_be_on_the_page() {
    let path = Path::new("p01.yaml");
    let text = "about: hints\ndiffers: kube-proxy ignores them\n==========\nabout: not this\n";
    assert_eq!(pages::scenario(path, text, true), []);
    assert_eq!(pages::scenario(path, text, false).len(), 1);
    assert_eq!(pages::scenario(path, "cluster: []\n", false), [Finding::in_file(path, "missing `about`")]);
}

#[test]
fn functions_are_found_in_macros_too() {
    let source = "fn one() {} mod m { fn two() {} } proptest! { #[test] fn three(a in 0..1) {} } const FN: u8 = 1;";
    let expected = ["one", "three", "two"].map(str::to_owned);
    assert_eq!(pages::function_names(source), BTreeSet::from(expected));
}

#[test]
fn reasons_are_the_strings_of_a_method() {
    let source =
        "impl A { fn reason(&self) -> &str { match self { A::B => \"Because\" } } fn other() -> &str { \"Other\" } }";
    assert_eq!(pages::strings_of_method(source, "reason"), BTreeSet::from(["Because".to_owned()]));
    assert!(pages::is_camel_case("PortInUse") && !pages::is_camel_case("no port") && !pages::is_camel_case("port"));
}
