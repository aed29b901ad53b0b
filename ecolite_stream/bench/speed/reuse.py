"""A live step with activations reused, against one without: processor time, in turns.

python -m ecolite_stream.bench.speed.reuse BUNDLE [f32|bf16]

`ecolite-bench speed --reuse` has wall times of the same steps, beside other engines. Processor time
also holds while other work runs.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, closing

from ecolite_stream.bench.measuring.machine import machine_facts, versions
from ecolite_stream.bench.measuring.timing import Calls, time_in_turns
from ecolite_stream.bench.report.report import Table
from ecolite_stream.bench.speed.speed import HEAD, LIVE_STEP, speed_calls
from ecolite_stream.engines import Engine, open_engine
from ecolite_stream.model.bundle import Bundle, read_bundle

NEW_FRAMES = (2, 4, 8)
SECONDS = 0.1
TURNS = 5
WITHOUT, WITH = "without", "with"


def measure(bundle: Bundle, precision: str) -> Table:
    """Time live steps of each of `NEW_FRAMES` that the bundle allows, and a head alone."""
    counts = [count for count in NEW_FRAMES if count <= bundle.spec.num_segments]
    with ExitStack() as stack:
        engines = {
            name: stack.enter_context(closing(_opened(bundle, precision, name == WITH)))
            for name in (WITHOUT, WITH)
        }
        calls: dict[str, Calls] = {}
        for count in counts:
            for name, engine in engines.items():
                calls[f"{count} {name}"] = _part(engine, bundle, count, LIVE_STEP)
        for name, engine in engines.items():
            calls[f"head {name}"] = _part(engine, bundle, counts[0], HEAD)
        timings = time_in_turns(calls, SECONDS, TURNS, time.process_time)
    rows = []
    for what in (*counts, "head"):
        (without,) = timings[f"{what} {WITHOUT}"].values()
        (reusing,) = timings[f"{what} {WITH}"].values()
        ratio = f"{reusing.p50_ms / without.p50_ms:.2f}"
        name = "head, nothing seen before" if what == "head" else f"live step, {what} new frames"
        rows.append((name, f"{without.p50_ms:.1f}", f"{reusing.p50_ms:.1f}", ratio))
    return Table(
        f"Processor ms, p50: openvino {precision}, N = {bundle.spec.num_segments}",
        ("what", "without reuse", "with", "ratio"),
        rows,
    )


def _opened(bundle: Bundle, precision: str, reuse: bool) -> Engine:
    return open_engine("openvino", bundle, precision=precision, reuse=reuse)


def _part(engine: Engine, bundle: Bundle, new_frames: int, what: str) -> Calls:
    return {what: speed_calls(engine, bundle.spec, new_frames)[what]}


def main(folder: str, precision: str = "f32") -> None:
    """Print the machine and the table."""
    for facts in (machine_facts(), versions()):
        print(", ".join(f"{key} {value}" for key, value in facts.items()))
    print(measure(read_bundle(folder), precision))


if __name__ == "__main__":
    main(*sys.argv[1:])
