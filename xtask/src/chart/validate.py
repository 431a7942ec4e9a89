"""Validates Kubernetes objects against the schemas of Kubernetes versions. Unknown fields are findings.

Reads {"versions": [VERSION], "files": {NAME: YAML}} from standard input. Writes a list of findings.
"""

import json
import sys

import kubernetes_validate
import yaml

# Kubernetes has no schemas of the objects of the Prometheus operator.
FOREIGN = "monitoring.coreos.com/"


def findings(name, document, version):
    subject = f"{name}: {document['kind']} {document['metadata']['name']}, Kubernetes {version}"
    try:
        # An unknown version would silently mean the newest known one.
        used = kubernetes_validate.validate(document, version, strict=True)
        if used != version:
            yield f"{subject}: schemas not found"
    except kubernetes_validate.ValidationError as error:
        yield f"{subject}: {error.json_path}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield f"{subject}: {error.message}"


def main():
    request = json.load(sys.stdin)
    found = []
    for name, text in request["files"].items():
        documents = [document for document in yaml.safe_load_all(text) if document]
        for document in documents:
            if not document["apiVersion"].startswith(FOREIGN):
                for version in request["versions"]:
                    found += findings(name, document, version)
    json.dump(found, sys.stdout)


main()
