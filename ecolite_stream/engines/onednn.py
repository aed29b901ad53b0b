"""Keep MindSpore's CPU convolutions off oneDNN 3's reference kernel.

MindSpore 2.9 and 2.10 carry oneDNN 3, whose 2D convolutions fall back to a reference kernel, 70 to
250 times slower, on processors with AVX-512. Capping the instruction set at AVX2 avoids it.
oneDNN reads the setting once, when MindSpore loads it, so it must be set before the import.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from importlib import metadata
from pathlib import Path

USER_SETTINGS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
FIRST_AFFECTED = (2, 9)

logger = logging.getLogger(__name__)


def cap_cpu_isa() -> bool:
    """Set ONEDNN_MAX_CPU_ISA=AVX2 where, and only where, MindSpore needs it.

    Call before `import mindspore`. Does nothing when the user has set either variable, when
    the processor has no AVX-512, or when the installed MindSpore is not an affected version.

    Returns:
        Whether this call set the variable.
    """
    if any(name in os.environ for name in USER_SETTINGS):
        return False
    if not (mindspore_version() >= FIRST_AFFECTED and cpu_has_avx512()):
        return False
    if "mindspore" in sys.modules:
        logger.warning(
            "mindspore was imported before ecolite-stream: its convolutions may be 100 times "
            "slower; set ONEDNN_MAX_CPU_ISA=AVX2 in the environment"
        )
        return False
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    return True


def mindspore_version() -> tuple[int, int]:
    """(major, minor) of the installed MindSpore, (0, 0) without one."""
    try:
        numbers = re.match(r"(\d+)\.(\d+)", metadata.version("mindspore"))
    except metadata.PackageNotFoundError:
        numbers = None
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def cpu_has_avx512(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has AVX-512; True if unknown.

    An unneeded cap costs little; a needed one saves two orders of magnitude.
    """
    try:
        return "avx512f" in cpuinfo.read_text()
    except OSError:
        return True
