"""`--check-config`: check a configuration and describe its run without running it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ecolite_stream.app.build import stream_names
from ecolite_stream.app.sinks import SINKS
from ecolite_stream.app.versions import bundle_path
from ecolite_stream.config.address import parse_address
from ecolite_stream.config.choices import AUTO
from ecolite_stream.config.drawn_views import read_drawn
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.source_names import NamedSource, named_source
from ecolite_stream.config.views import PLAIN_VIEWS, ViewConfig, covered_regions, view_name
from ecolite_stream.engines import choose_engine, require_reuse
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.model.bundle import Bundle, read_bundle
from ecolite_stream.recognition.memory import cheaper_period_s
from ecolite_stream.recognition.recognizer import check_fits
from ecolite_stream.recognition.sampler import StreamSampler
from ecolite_stream.sinks.kind import Run
from ecolite_stream.sources import check_spec, may_be_live, redact_url
from ecolite_stream.web.page import check_page


def describe_run(config: StreamConfig) -> Iterator[str]:
    """One line for each stream and one for the settings they share.

    Opens only the bundle: no source, no engine, no port, no output file.

    Raises:
        ConfigError: the configuration cannot run or contradicts the bundle. The message names
            every source that can never be opened.
        BundleError: the bundle is missing or damaged.
        EngineError: the engine is not installed, or cannot run the bundle.
    """
    if not config.source:
        raise ConfigError(
            "no source; add --source camera, --source FILE or --source pattern, or name one under "
            "source in the configuration file"
        )
    sources = [named_source(source) for source in config.source]
    names = stream_names(sources)
    _check_sources(sources)
    bundle = read_bundle(bundle_path(config))
    check_fits(config, bundle.spec)
    shared = _shared(config, bundle, names)
    drawn = read_drawn(config.web.views_file)
    for name, source in zip(names, sources, strict=True):
        title = name if source.name is None else f"{name} ({redact_url(source.url)})"
        settings = config.of_stream(source)
        if name in drawn:
            settings = drawn[name].over(settings)
        check_fits(settings, bundle.spec)
        parts = [
            _kind(config, source.url),
            f"a label every {settings.every_s:g} s from {_memory(settings, bundle)}",
            *_views(settings, bundle),
            *([f"views as drawn in {config.web.views_file}"] if name in drawn else []),
            *_overridden(source),
        ]
        yield f"{title}: {'; '.join(parts)}"
    yield shared


def _views(settings: StreamConfig, bundle: Bundle) -> Iterator[str]:
    """The configured views of a stream, and its mask."""
    if settings.mask:
        count = len(settings.mask)
        yield f"{count} {'mask' if count == 1 else 'masks'}, where motion does not count"
    for region in covered_regions(settings.mask, settings.views):
        yield f"no motion counts in {region}, since the mask covers all of it"
    if not settings.views:
        return
    names = [view_name(view) for view in settings.views]
    yield f"views {', '.join(map(_view, settings.views))}"
    framing = bundle.spec.preprocessing.framing
    others = [name for name in names if name in PLAIN_VIEWS and name != framing]
    if others:
        yield f"the bundle was trained with {framing}, so {', '.join(others)} will score lower"


def _view(view: str | ViewConfig) -> str:
    """A view by its name; of subjects how many at most."""
    if isinstance(view, ViewConfig) and view.subjects is not None:
        return f"{view_name(view)} (at most {view.subjects})"
    return view_name(view)


def _overridden(source: NamedSource) -> Iterator[str]:
    """The stream's own settings that are not printed elsewhere."""
    for section in ("events", "memory"):
        values = getattr(source, section) or {}
        if values:
            yield f"{section} " + ", ".join(f"{key} {value}" for key, value in values.items())
    if source.smoothing is not None:
        yield f"smoothing {source.smoothing:g}"
    if source.gate is not None:
        yield f"gate {'on' if source.gate else 'off'}"
    if source.decode is not None:
        yield f"decode {source.decode}"


def _check_sources(sources: Sequence[NamedSource]) -> None:
    wrong = []
    for source in sources:
        try:
            check_spec(source.url)
        except SourceError as error:
            wrong.append(str(error) if source.name is None else f"{source.name}: {error}")
    if wrong:
        raise ConfigError(" | ".join(wrong))


def _kind(config: StreamConfig, spec: str) -> str:
    if not may_be_live(spec):
        return "a recording, at its own speed" if config.realtime else "a recording"
    if not config.reconnect.enabled:
        return "live, not opened again when lost"
    limit = config.reconnect.limit
    return "live, opened again when lost" + (f", {limit} times in a row" if limit else "")


def _memory(config: StreamConfig, bundle: Bundle) -> str:
    sampler = StreamSampler(bundle.spec, config)  # checks the memory settings
    segments, policy = bundle.spec.num_segments, config.memory.policy
    if policy != "window":
        return f"{segments} frames ({policy}), {sampler.samples_per_prediction} of them new"
    span_s = config.memory.span_s or bundle.spec.clip_seconds
    return f"{segments} frames over {span_s:.3g} s, {sampler.samples_per_s:.3g} frames/s encoded"


def _precision(name: str) -> str:
    return "bf16 if the golden numbers agree" if name == AUTO else name


def _shared(config: StreamConfig, bundle: Bundle, names: Sequence[str]) -> str:
    """The line about shared settings; raises like `describe_run`."""
    engine = choose_engine(config.engine, bundle, config.device, config.precision)
    if config.reuse:
        require_reuse(engine)
    parts = [
        f"bundle {bundle.path}, {len(bundle.spec.labels)} labels",
        " ".join(
            [f"engine {engine}"]
            + ([f"on {config.device}"] if config.device else [])
            + ([f"in {_precision(config.precision)}"] if config.precision else [])
            + (["with activations reused"] if config.reuse else [])
        ),
    ]
    run = Run(config, names, bundle)
    parts += [kind.check_for(run) for kind in SINKS if kind.is_wanted(config)]
    if config.web.address is not None:
        check_page(config.web)
    for what, address in (("metrics", config.metrics), ("page", config.web.address)):
        if address is not None:
            host, port = parse_address(address)
            parts.append(f"{what} at {host}:{port}")
    return "all streams: " + "; ".join([*parts, *_advice(config, bundle)])


def _advice(config: StreamConfig, bundle: Bundle) -> Iterator[str]:
    """Settings that would need less computing."""
    if config.memory.policy != "window":
        return
    segments, span_s = bundle.spec.num_segments, config.memory.span_s or bundle.spec.clip_seconds
    if period_s := cheaper_period_s(segments, span_s, config.every_s):
        encoded_per_s = segments / span_s
        yield f"every_s: {period_s:.3g} needs only {encoded_per_s:.3g} encoded frames/s per stream"
