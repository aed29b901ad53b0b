"""The machine of a measurement, and the versions of its software."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from ecolite_stream.engines.cores import usable_cores
from ecolite_stream.model.bundle import Bundle

PACKAGES = (
    "ecolite-stream",
    "numpy",
    "opencv-python",
    "opencv-python",
    "av",
    "mindspore",
    "openvino",
    "onnxruntime",
    "torch",
)


def machine_facts() -> dict[str, Any]:
    """Processor, cores that this process may use, and operating system."""
    return {
        "cpu": cpu_model(),
        "cores": len(usable_cores()),
        "os": platform.platform(terse=True),
    }


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, from the system."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def versions() -> dict[str, str | None]:
    """Versions of Python and of relevant packages; None if not installed."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def bundle_facts(bundle: Bundle) -> dict[str, Any]:
    """Identification of a model in a report."""
    spec = bundle.spec
    return {
        "path": str(bundle.path),
        "digest": bundle.digest,
        "architecture": spec.architecture,
        "num_segments": spec.num_segments,
        "image_size": spec.preprocessing.image_size,
        "framing": spec.preprocessing.framing,
        "width": spec.width,
        "labels": len(spec.labels),
    }
