//! The bill of materials of the program, in the format of
//! [CycloneDX 1.5](https://cyclonedx.org/docs/1.5/json/).

use serde_json::{Value, json};

use super::bill::{Name, Package};
use super::guid;
use crate::source::Source;

/// The document. The first package is the program.
pub(super) fn document(packages: &[Package], source: &Source) -> Value {
    let (program, libraries) = match packages {
        [program, libraries @ ..] => (component(program, "application"), libraries),
        [] => (Value::Null, packages),
    };
    let names: Vec<String> = packages.iter().map(|package| url(&package.name)).collect();
    let serial = guid::of(&["bill of materials", &names.join(" "), source.revision.as_deref().unwrap_or_default()]);
    let dependencies = packages.iter().map(
        |package| json!({"ref": url(&package.name), "dependsOn": package.uses.iter().map(url).collect::<Vec<_>>()}),
    );
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": format!("urn:uuid:{serial}"),
        "version": 1,
        "metadata": {"timestamp": source.time.to_string(), "component": program},
        "components": libraries.iter().map(|package| component(package, "library")).collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
    })
}

fn component(package: &Package, kind: &str) -> Value {
    let Package { name, license, repository, checksum, .. } = package;
    let mut component = json!({
        "type": kind,
        "bom-ref": url(name),
        "name": name.name,
        "version": name.version,
        "licenses": [{"expression": license}],
        "purl": url(name),
    });
    let mut set = |member: &str, value: Value| {
        if let Some(members) = component.as_object_mut() {
            members.insert(member.to_owned(), value);
        }
    };
    if let Some(checksum) = checksum {
        set("hashes", json!([{"alg": "SHA-256", "content": checksum}]));
    }
    if let Some(repository) = repository {
        set("externalReferences", json!([{"type": "vcs", "url": repository}]));
    }
    component
}

/// [Package URL](https://github.com/package-url/purl-spec).
fn url(name: &Name) -> String {
    format!("pkg:cargo/{}@{}", name.name, name.version)
}
