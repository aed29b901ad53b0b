"""The clips of a folder with their features: what teaching starts from."""

from __future__ import annotations

import functools
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.datasets.marked import SegmentFile, find_clips, segment_of
from ecolite_stream.errors import ConfigError, SourceError, one_line
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.model.limits import is_printable
from trainer.data.parallel import bar_of
from trainer.teaching.cache import FeatureCache, hash_clip
from trainer.teaching.features import ClipWindows, FeatureMaker
from trainer.teaching.head_graph import opened_without_classifier

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TaughtClip:
    """A clip to teach with.

    Attributes:
        name: `<class>/<file>`.
        label: its class.
        by_framing: framing -> variant -> windows.
    """

    name: str
    label: str
    by_framing: Mapping[str, ClipWindows] = field(repr=False)


def find_taught(folder: Path, tier: str | None = None) -> dict[ClipFile, str]:
    """The clips of a folder, each with the hash of its bytes; doubles are left out with a warning.

    The hash of a segment of a video is followed by its bounds.

    Args:
        folder: of `<action>/<clip>`, and of videos with their marks beside them.
        tier: of ELAN files, this one alone.

    Raises:
        ConfigError: there are no clips, an action has a name that is no label, or one file lies in
            two actions.
    """
    found: dict[ClipFile, str] = {}
    first: dict[str, ClipFile] = {}
    hash_once = functools.cache(hash_clip)
    for clip in find_clips([folder], tier):
        if not is_printable(clip.label):
            raise ConfigError(f"{clip.path.parent} cannot be a label; rename the folder")
        try:
            digest = hash_once(clip.path)
        except OSError as error:
            _log.warning("left out %s: %s", clip.name, error.strerror)
            continue
        if isinstance(clip, SegmentFile):
            one = clip.segment
            digest += f" {one.start!r} {one.end!r} {one.in_frames}"
        other = first.setdefault(digest, clip)
        if other.label != clip.label:
            raise ConfigError(
                f"{other.name} and {clip.name} are the same file in two actions; remove the one "
                "that is wrong"
            )
        if other is not clip:
            _log.warning("left out %s: the same file as %s", clip.name, other.name)
            continue
        found[clip] = digest
    return found


def no_progress(done: int, total: int) -> None:
    """Say nothing of the clips that are done."""


def load_features(
    clips: Mapping[ClipFile, str],
    bundle: Bundle,
    framings: Sequence[str],
    engine: str = "auto",
    cache_folder: Path | None = None,
    on_clip: Callable[[int, int], None] = no_progress,
) -> list[TaughtClip]:
    """The features of clips, computed where the cache has none.

    A clip that cannot be read is left out with a warning. `on_clip` is called after each clip with
    the numbers of clips that are done and of all.

    Raises:
        ConfigError: fewer than two actions are left.
        BundleError: the bundle cannot be taught.
        EngineError: the engine failed.
    """
    taught = read_features(clips, bundle, framings, engine, cache_folder, on_clip)
    require_actions(taught)
    return taught


def read_features(
    clips: Mapping[ClipFile, str],
    bundle: Bundle,
    framings: Sequence[str],
    engine: str = "auto",
    cache_folder: Path | None = None,
    on_clip: Callable[[int, int], None] = no_progress,
) -> list[TaughtClip]:
    """As `load_features`, of any clips, whatever they show."""
    taught: list[TaughtClip] = []
    with opened_without_classifier(bundle, engine) as opened:
        cache = FeatureCache(bundle, f"{opened.name} {opened.precision}", cache_folder)
        maker = FeatureMaker(opened, bundle.spec)
        with bar_of("features", len(clips)) as step:
            found = _windows_of(clips, framings, cache, maker)
            for number, (clip, windows) in enumerate(found, start=1):
                if isinstance(windows, SourceError):
                    _log.warning("left out %s: %s", clip.name, one_line(windows))
                else:
                    taught.append(TaughtClip(clip.name, clip.label, windows))
                step(1)
                on_clip(number, len(clips))
        cache.prune()
    return sorted(taught, key=lambda clip: clip.name)


def _windows_of(
    clips: Mapping[ClipFile, str],
    framings: Sequence[str],
    cache: FeatureCache,
    maker: FeatureMaker,
) -> Iterator[tuple[ClipFile, Mapping[str, ClipWindows] | SourceError]]:
    """Each clip with its windows by framing, or why it has none; a file is decoded at most once."""
    by_path: dict[Path, list[ClipFile]] = defaultdict(list)
    for clip in clips:
        by_path[clip.path].append(clip)
    for path, own in by_path.items():
        kept = {clip: cache.kept(clips[clip], framings) for clip in own}
        wanted = {}
        for clip, there in kept.items():
            if missing := [framing for framing in framings if framing not in there]:
                wanted[segment_of(clip)] = missing
            else:
                yield clip, there
        left = {segment_of(clip): clip for clip in own if segment_of(clip) in wanted}
        try:
            for part, made in maker.windows(path, wanted) if wanted else ():
                clip = left.pop(part)
                if not isinstance(made, SourceError):
                    for framing, windows in made.items():
                        cache.write(clips[clip], framing, windows)
                    made = {**kept[clip], **made}
                yield clip, made
        except SourceError as error:
            yield from ((clip, error) for clip in left.values())


def require_actions(clips: Iterable[TaughtClip]) -> None:
    """Pass where the clips show two actions or more.

    Raises:
        ConfigError: they do not.
    """
    counts = Counter(clip.label for clip in clips)
    if len(counts) < 2:
        have = f"only {next(iter(counts))}" if counts else "none that can be read"
        raise ConfigError(
            f"teaching needs clips of two actions or more, there is {have}; add a folder of clips "
            "of another action, or of nothing"
        )
