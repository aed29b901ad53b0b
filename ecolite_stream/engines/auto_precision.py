"""`precision: auto`: bfloat16 where it is faster and as good."""

from __future__ import annotations

from dataclasses import dataclass

from ecolite_stream.config.choices import AUTO
from ecolite_stream.engines import choose_engine, open_engine, precisions_of
from ecolite_stream.engines.check import compare
from ecolite_stream.errors import BundleError, EngineError, one_line
from ecolite_stream.model.bundle import Bundle


@dataclass(frozen=True)
class Chosen:
    """What `auto` came to.

    Attributes:
        precision: for `open_engine`; None is the engine's default.
        why: one line for people.
    """

    precision: str | None
    why: str


def choose_precision(
    engine: str, bundle: Bundle, device: str | None, precision: str | None
) -> Chosen | None:
    """Resolve `auto`, by a run of the golden numbers; None where another precision is given.

    Args:
        engine: one of `ENGINE_NAMES`, or `auto`.
        bundle: the model.
        device: of the engine; None is its default.
        precision: as configured.

    Raises:
        ConfigError: there is no such device.
        EngineError: no engine can run the bundle.
    """
    if precision != AUTO:
        return None
    name = choose_engine(engine, bundle, device)
    default, *others = precisions_of(name, device)
    if "bf16" not in others:
        return Chosen(None, f"{default}: engine {name} has no bf16 there")
    try:
        opened = open_engine(name, bundle, device, "bf16")
        try:
            check = compare(opened, bundle, "bf16")
            check.require()
        finally:
            opened.close()
    except (BundleError, EngineError) as error:
        return Chosen(default, f"{default}: {one_line(error)}")
    off = max(check.feature_error, check.logit_error)
    return Chosen("bf16", f"bf16: engine {name} is off by {off:.1e} of the golden numbers")
