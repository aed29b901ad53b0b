"""Manifests for Kubernetes, held against the published schemas; no cluster has run them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.config.includes import load_stream_config
from tests.conftest import ROOT

MANIFEST = ROOT / "configs" / "kubernetes" / "ecolite-stream.yaml"
VERSIONS = ("1.30", "1.34")


def documents() -> dict[str, Any]:
    found = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    return {document["kind"]: document for document in found}


@pytest.mark.skipif(
    find_spec("kubernetes_validate") is None, reason="kubernetes-validate is not installed"
)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["ConfigMap", "Service", "StatefulSet"])
def test_manifests_fit_the_published_schemas(kind: str, version: str) -> None:
    import kubernetes_validate

    document = documents()[kind]
    kubernetes_validate.validate(document, version, strict=True)
    document["spec" if "spec" in document else "metadata"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, version, strict=True)


def test_every_pod_has_a_configuration_that_can_be_read(tmp_path: Path) -> None:
    found = documents()
    stateful = found["StatefulSet"]
    name, replicas = stateful["metadata"]["name"], stateful["spec"]["replicas"]
    files = found["ConfigMap"]["data"]
    assert sorted(files) == [f"{name}-{number}.yaml" for number in range(replicas)]
    for file, text in files.items():
        (tmp_path / file).write_text(text)
        assert load_stream_config(tmp_path / file, RunConfig).source


def test_parts_of_the_manifest_name_each_other() -> None:
    found = documents()
    spec = found["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert spec["serviceName"] == found["Service"]["metadata"]["name"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == found["Service"]["spec"]["selector"] == labels
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes.keys() == {mount["name"] for mount in container["volumeMounts"]}
    assert volumes["cameras"]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
