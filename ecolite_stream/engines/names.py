"""The engines that there are; light, for whoever only needs to name them."""

from __future__ import annotations

ENGINE_NAMES = ("openvino", "mindspore", "mslite")
"""Fastest first, as `ecolite-bench speed` measures them on a CPU."""
