"""The engines that there are; light, for whoever only needs to name them."""

from __future__ import annotations

ENGINE_NAMES = ("openvino", "mindspore", "mslite")
"""Fastest first, as `ecolite-bench speed` measures them on a CPU."""

PRECISIONS = ("f32", "bf16", "f16")
"""What an engine can be asked to compute in; each has some of them."""
