"""The engines that there are; light, for whoever only needs to name them."""

from __future__ import annotations

ENGINE_NAMES = ("openvino", "mindspore", "mslite")
"""In the order in which `auto` tries them on a CPU. MindSpore Lite comes last though it is quickest
at full size (`ecolite-bench speed`): it takes the most memory, and converts the graphs first."""

PRECISIONS = ("f32", "bf16", "f16")
"""What an engine can be asked to compute in; each has some of them."""


POLICIES = ("window", "paper", "pyramid")
