"""Lints and renders a chart once for each object of values.

Reads {"chart": FOLDER, "release": NAME, "namespace": NAME, "kubernetes": VERSION, "values": [OBJECT]} from standard input. Writes a result for
each object: {"Ok": {PATH: TEXT}} or {"Err": MESSAGE}.
"""

import json
import sys

import helm_python as helm

WARNING = 2


def render(chart, request, values):
    try:
        rendered = chart.render(values, name=request["release"], namespace=request["namespace"])
    except helm.HelmError as error:
        return {"Err": str(error)}
    report = helm.lint(
        request["chart"], values, strict=True, namespace=request["namespace"], kube_version=request["kubernetes"]
    )
    findings = [f"{m['path']}: {m['error']}" for m in report["messages"] if m["severity"] >= WARNING]
    findings += report["errors"]
    return {"Err": "; ".join(findings)} if findings else {"Ok": rendered}


def main():
    request = json.load(sys.stdin)
    with helm.Chart.load(request["chart"]) as chart:
        json.dump([render(chart, request, values) for values in request["values"]], sys.stdout)


main()
