//! Compares `docs/errors.md` with [`Hresult`]: every code with a class is listed, with its name and its class.
#![allow(clippy::unwrap_used, reason = "test code, helpers included: a panic is a failed test")]

use std::collections::BTreeMap;

use hcn::{Class, Hresult};

#[test]
fn the_page_lists_the_codes_with_their_names_and_classes() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md")).unwrap();
    let listed: BTreeMap<u32, (String, String)> = page.lines().filter_map(row).collect();
    let classified = Hresult::KNOWN.iter().filter(|code| code.class() != Class::Other && !code.is_success());
    let described = listed.keys().map(|code| Hresult(*code));
    let of = |code: Hresult| (code.0, (code.name().unwrap_or_default().to_owned(), code.class().as_str().to_owned()));
    let expected: BTreeMap<_, _> = classified.copied().chain(described).map(of).collect();
    assert_eq!(listed, expected);
}

/// The code of a row, its name and its class.
fn row(line: &str) -> Option<(u32, (String, String))> {
    let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).skip(1);
    let code = u32::from_str_radix(cells.next()?.strip_prefix("0x")?, 16).ok()?;
    Some((code, (cells.next()?, cells.next()?)))
}
