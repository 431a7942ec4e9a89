//! Tests a whole release with a placeholder program.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cyclonedx_bom::models::bom::Bom;
use cyclonedx_bom::validation::Validate;

use super::*;
use crate::process::output;
use crate::tools::RELEASE;

fn package(name: &str, license: &str, uses: &[&Package]) -> Package {
    Package {
        name: bill::Name { name: name.to_owned(), version: "1.2.3".to_owned() },
        license: license.to_owned(),
        authors: Vec::new(),
        repository: Some("https://example.org".to_owned()),
        checksum: Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned()),
        folder: folder::root().unwrap(),
        uses: uses.iter().map(|package| package.name.clone()).collect::<BTreeSet<_>>(),
    }
}

fn input() -> Input {
    let library = package("library", "MIT OR Apache-2.0", &[]);
    Input {
        version: "1.2.3".to_owned(),
        source: Source { revision: Some("c0ffee".to_owned()), time: jiff::Timestamp::from_second(1).unwrap() },
        program: b"MZ".to_vec(),
        documents: Files::from([("man/hnsproxy.1".to_owned(), b".TH".to_vec())]),
        packages: vec![package("hnsproxy", "Apache-2.0", &[&library]), library],
        chart: b"chart".to_vec(),
        manifests: BTreeMap::from([("azure.yaml".to_owned(), "kind: DaemonSet\n".to_owned())]),
    }
}

#[test]
fn a_release_has_these_files_each_time_with_the_same_bytes() {
    if !RELEASE.found_for_test() {
        return;
    }
    let [first, second] = [(), ()].map(|()| files(&input(), &Keys::default()).unwrap());
    let differing: Vec<_> = first.iter().filter(|(path, content)| second.get(*path) != Some(content)).collect();
    assert!(differing.is_empty(), "{:?}", differing.iter().map(|(path, _)| path).collect::<Vec<_>>());
    let paths: Vec<&str> = first.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "SHA256SUMS",
            "chocolatey/hnsproxy.nuspec",
            "chocolatey/tools/chocolateyInstall.ps1",
            "chocolatey/tools/chocolateyUninstall.ps1",
            "hnsproxy-1.2.3-chart.tgz",
            "hnsproxy-1.2.3-image.tar",
            "hnsproxy-1.2.3-kubernetes-azure.yaml",
            "hnsproxy-1.2.3-sbom.cdx.json",
            "hnsproxy-1.2.3-windows-amd64.msi",
            "hnsproxy-1.2.3-windows-amd64.zip",
            "manifest.json",
            "winget/hnsproxy.hnsproxy.installer.yaml",
            "winget/hnsproxy.hnsproxy.locale.en-US.yaml",
            "winget/hnsproxy.hnsproxy.yaml",
        ]
    );
}

#[test]
fn the_checksums_are_those_of_the_written_files() {
    if !RELEASE.found_for_test() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let release = folder.path().join("release");
    let files = files(&input(), &Keys::default()).unwrap();
    write(&release, &files).unwrap();
    output(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&release)).unwrap();
    // A second release replaces the first.
    fs::write(release.join("old"), "").unwrap();
    write(&release, &files).unwrap();
    assert!(!release.join("old").exists());
    let error = write(folder.path(), &files).unwrap_err();
    assert!(error.to_string().ends_with("expected no folder, or one of a release"), "{error}");
}

#[test]
fn the_bill_of_materials_is_valid() {
    let input = input();
    let document = sbom::document(&input.packages, &input.source);
    let bom = Bom::parse_json_value(document.clone()).unwrap();
    let result = bom.validate();
    assert!(result.passed(), "{result:?}");
    let dependencies = &document["dependencies"];
    assert_eq!(
        *dependencies,
        json!([
            {"ref": "pkg:cargo/hnsproxy@1.2.3", "dependsOn": ["pkg:cargo/library@1.2.3"]},
            {"ref": "pkg:cargo/library@1.2.3", "dependsOn": []}
        ])
    );
}

/// Uses the Cargo output and the lock file of this workspace.
#[test]
fn the_packages_of_the_program_have_licences_and_hashes() {
    let packages = bill::read().unwrap();
    assert_eq!(packages[0].name.name, "hnsproxy");
    let is_here = |package: &&Package| package.folder.starts_with(folder::root().unwrap());
    let unhashed: Vec<_> = packages.iter().filter(|package| package.checksum.is_none() != is_here(package)).collect();
    assert!(unhashed.is_empty(), "{unhashed:?}");
    let input = input();
    let bom = Bom::parse_json_value(sbom::document(&packages, &input.source)).unwrap();
    assert!(bom.validate().passed(), "{:?}", bom.validate());
    let licences = licences::text(&packages).unwrap();
    assert!(licences.contains("Permission is hereby granted, free of charge"), "{licences}");
}
