"""`ecolite-stream check`: check whether a source is usable and what to change."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import click

from ecolite_stream.config.source_names import named_source
from ecolite_stream.errors import SourceError
from ecolite_stream.sources import open_source, redact_url
from ecolite_stream.sources.container import ContainerSource
from ecolite_stream.sources.picture import square_size
from ecolite_stream.sources.probe import Measured, Probe

_LONGEST_KEYFRAME_S = 4.0
_GOOD_KEYFRAME_S = 2.0
_LOWEST_FPS = 8.0
"""Below it, quick actions fall between two frames."""
_FPS_OFF = 0.2
_CLOCK_OFF = 0.03
_SILENCE_S = 2.0
_MANY_CORES = 0.25
_BLACK, _WHITE, _FLAT = 30, 225, 12
"""Pixel values, 0 to 255: a black picture's maximum, a white one's minimum, a flat one's range."""


@click.command()
@click.option(
    "--source",
    metavar="[NAME=]SOURCE",
    required=True,
    help="camera, camera:1, a video file, a URL, or pattern.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def check(source: str, as_json: bool) -> None:
    """Check within ten seconds whether a source is usable, and list what to change.

    Exit codes: 0 usable, 3 not usable.
    """
    named = named_source(source)
    name = named.name or redact_url(named.url)
    probe = Probe(name, lambda: _open(named.url, name))
    try:
        measured = probe.measure()
    except SourceError as error:
        if as_json:
            click.echo(json.dumps({"source": name, "usable": False, "error": str(error)}))
        raise
    click.echo(json.dumps(as_dict(measured)) if as_json else "\n".join(as_lines(measured)))


def _open(url: str, name: str) -> ContainerSource:
    source = open_source(url, name=name, end_is_worth_a_warning=False)
    if not isinstance(source, ContainerSource):
        source.close()
        raise SourceError(f"{name}: check needs a source that FFmpeg reads; run this one instead")
    return source


def advice(measured: Measured) -> Iterator[str]:
    """Changes to make to a source, one line each."""
    yield from _advice_for_live(measured) if measured.live else _advice_for_recording(measured)
    yield from _advice_on_picture(measured)
    if measured.broke is not None:
        yield f"the source failed: {measured.broke}"


def _advice_for_recording(measured: Measured) -> Iterator[str]:
    if measured.fps is not None and measured.fps < _LOWEST_FPS:
        yield (
            f"{measured.fps:.2g} frames a second: quick actions fall between them; "
            f"record {_LOWEST_FPS:g} or more"
        )
    if measured.skipped_at_start:
        yield (
            f"{measured.skipped_at_start} packets before the first picture cannot be decoded: the "
            "recording starts between keyframes or is damaged; cut recordings at keyframes"
        )
    if measured.damaged:
        yield f"{measured.damaged} packets are damaged; copy or record it again"


def _advice_on_picture(measured: Measured) -> Iterator[str]:
    darkest, brightest = measured.darkest, measured.brightest
    if brightest < _BLACK:
        yield "the picture is black; check the lens cap, the light and the exposure"
    elif darkest > _WHITE:
        yield "the picture is white; check the exposure"
    elif brightest - darkest < _FLAT:
        yield (
            f"the picture is flat: values from {darkest:.0f} to {brightest:.0f} of 255; check the "
            "lens, the exposure, or the range of a thermal camera"
        )


def _advice_for_live(measured: Measured) -> Iterator[str]:
    keyframe_s, rate = measured.keyframe_s, measured.clock_rate
    good = f"set the camera to one every {_GOOD_KEYFRAME_S:g} s"
    if keyframe_s is not None and keyframe_s > _LONGEST_KEYFRAME_S:
        yield f"a keyframe every {keyframe_s:.0f} s: each reconnect takes as long; {good}"
    elif keyframe_s is None and measured.watched_s > _LONGEST_KEYFRAME_S:
        yield (
            f"no second keyframe in {measured.watched_s:.0f} s: each reconnect takes longer than "
            f"that; {good}"
        )
    stated, fps = measured.fps_stated, measured.fps
    if stated and fps is not None and measured.has_times and abs(fps / stated - 1) > _FPS_OFF:
        yield (
            f"the stream states {stated:.3g} frames a second and sends {fps:.3g}; check whether "
            "the network loses frames, or the camera's exposure is longer than a frame"
        )
    if not measured.has_times:
        yield "no timestamps: arrival times are used; use the camera's RTSP stream if it has one"
    if measured.jumps:
        yield f"timestamps jump ({measured.jumps} times); set the camera's clock, or update it"
    if rate is not None and abs(rate - 1) > _CLOCK_OFF:
        yield (
            f"timestamps run at {rate:.2f} of this machine's clock; check the camera's frame rate "
            "and whether the network keeps up"
        )
    if measured.longest_silence_s > _SILENCE_S:
        yield (
            f"no data for {measured.longest_silence_s:.1f} s; check the network, "
            "or shorten the segments of an HLS stream"
        )
    if fps is not None and fps < _LOWEST_FPS:
        yield (
            f"{fps:.2g} frames a second: quick actions fall between them; "
            f"set the source to {_LOWEST_FPS:g} or more"
        )
    if measured.decode_cores is not None and measured.decode_cores > _MANY_CORES:
        yield (
            f"decoding takes {measured.decode_cores:.0%} of a core; set the camera to a smaller "
            "picture or fewer frames a second, or use its second stream"
        )
    if measured.damaged:
        yield (
            f"{measured.damaged} packets were damaged; check the cable and the network, and read "
            "RTSP over TCP"
        )
    if measured.is_reordered:
        yield "B-frames delay every picture; switch them off (profile baseline)"


def as_dict(measured: Measured) -> dict[str, Any]:
    """The measurements and changes as a JSON object."""
    facts = {
        key: round(value, 4) if isinstance(value, float) else value
        for key, value in dataclasses.asdict(measured).items()
    }
    return {"source": facts.pop("source"), "usable": True, **facts, "change": [*advice(measured)]}


def as_lines(measured: Measured) -> Iterator[str]:
    """The measurements and changes as text."""
    kind = "live" if measured.live else "a recording"
    yield f"{measured.source}: usable, {kind}"
    sends = "" if measured.fps is None else f", sends {measured.fps:.3g}"
    states = "" if measured.fps_stated is None else f", states {measured.fps_stated:.3g} frames/s"
    if not measured.live:
        sends = "" if measured.fps is None else f", has {measured.fps:.3g}"
    yield f"  video      {measured.codec}, {measured.width}x{measured.height}{states}{sends}"
    yield f"  picture    {_picture(measured)}"
    yield f"  begins     first picture after {measured.first_picture_s:.1f} s"
    key_s = measured.keyframe_s
    interval = "fewer than two" if key_s is None else f"every {key_s:.2g} s at most"
    if measured.live or key_s is not None:
        yield f"  keyframes  {interval}, in {measured.watched_s:.1f} s"
    yield f"  clock      {_clock(measured)}"
    if measured.decode_cores is not None:
        at_speed = "" if measured.live else ", at its own speed"
        yield f"  decoding   {measured.decode_cores:.1%} of a core{at_speed}"
    changes = list(advice(measured))
    for number, line in enumerate(changes or ["nothing"]):
        yield f"  {'change' if number == 0 else '':9}  {line}"


def _picture(measured: Measured) -> str:
    values = f"values from {measured.darkest:.0f} to {measured.brightest:.0f} of 255"
    aspect = Fraction(measured.pixel_aspect).limit_denominator(100)
    width, height = square_size(measured.width, measured.height, aspect)
    if (width, height) == (measured.width, measured.height):
        return values
    return f"{values}; its pixels are {aspect.numerator}:{aspect.denominator}, so {width}x{height}"


def _clock(measured: Measured) -> str:
    if not measured.has_times:
        return "no timestamps"
    if measured.jumps:
        return f"{'jumps' if measured.live else 'goes back'}, {measured.jumps} times"
    if measured.clock_rate is not None:
        even = "runs evenly" if abs(measured.clock_rate - 1) <= _CLOCK_OFF else "runs off"
        return f"{even}, {measured.clock_rate:.3f} s a second"
    if measured.live:
        return "arrives in segments; not compared with this machine's"
    return "timestamps are in order"
