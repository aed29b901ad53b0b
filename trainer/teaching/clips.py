"""The clips of a folder with their features: what teaching starts from."""

from __future__ import annotations

import functools
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.datasets.marked import SegmentFile, find_clips, segment_of
from ecolite_stream.datasets.segments import Marked
from ecolite_stream.errors import ConfigError, SourceError, one_line
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.model.limits import is_printable
from trainer.data.parallel import bar_of
from trainer.teaching.cache import FeatureCache, hash_clip
from trainer.teaching.features import ClipWindows, FeatureMaker, Found, Take, Wanted
from trainer.teaching.head_graph import opened_without_classifier
from trainer.teaching.on_workers import Hire, make_on

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
    hire: Hire | None = None,
) -> list[TaughtClip]:
    """The features of clips, computed where the cache has none.

    A clip that cannot be read is left out with a warning. `on_clip` is called after each clip with
    the numbers of clips that are done and of all. With `hire`, workers compute.

    Raises:
        ConfigError: fewer than two actions are left.
        BundleError: the bundle cannot be taught.
        EngineError: the engine failed.
    """
    taught = read_features(clips, bundle, framings, engine, cache_folder, on_clip, hire)
    require_actions(taught)
    return taught


def read_features(
    clips: Mapping[ClipFile, str],
    bundle: Bundle,
    framings: Sequence[str],
    engine: str = "auto",
    cache_folder: Path | None = None,
    on_clip: Callable[[int, int], None] = no_progress,
    hire: Hire | None = None,
) -> list[TaughtClip]:
    """As `load_features`, of any clips, whatever they show."""
    taught: list[TaughtClip] = []
    done = 0
    with opened_without_classifier(bundle, engine) as opened, bar_of("features", len(clips)) as bar:
        cache = FeatureCache(bundle, f"{opened.name} {opened.precision}", cache_folder)

        def take(clip: ClipFile, found: Mapping[str, ClipWindows] | SourceError) -> None:
            nonlocal done
            if isinstance(found, SourceError):
                _log.warning("left out %s: %s", clip.name, one_line(found))
            else:
                taught.append(TaughtClip(clip.name, clip.label, found))
            bar(1)
            done += 1
            on_clip(done, len(clips))

        here = functools.partial(_make_here, FeatureMaker(opened, bundle.spec))
        make = here if hire is None else make_on(hire, bundle, opened.name)
        _find_windows(clips, framings, cache, make, take)
        cache.prune()
    return sorted(taught, key=lambda clip: clip.name)


def _find_windows(
    clips: Mapping[ClipFile, str],
    framings: Sequence[str],
    cache: FeatureCache,
    make: Callable[[Wanted, Take], None],
    take: Callable[[ClipFile, Mapping[str, ClipWindows] | SourceError], None],
) -> None:
    """Give each clip with its windows by framing, or why it has none, to `take`."""
    wanted: dict[Path, dict[Marked, list[str]]] = defaultdict(dict)
    waiting: dict[tuple[Path, Marked], tuple[ClipFile, dict[str, ClipWindows]]] = {}
    for clip, digest in clips.items():
        kept = cache.kept(digest, framings)
        if missing := [framing for framing in framings if framing not in kept]:
            part = segment_of(clip)
            wanted[clip.path][part] = missing
            waiting[clip.path, part] = clip, kept
        else:
            take(clip, kept)

    def take_part(path: Path, part: Marked, found: Found) -> None:
        clip, kept = waiting[path, part]
        if isinstance(found, SourceError):
            take(clip, found)
            return
        for framing, windows in found.items():
            cache.write(clips[clip], framing, windows)
        take(clip, {**kept, **found})

    make(wanted, take_part)


def _make_here(maker: FeatureMaker, wanted: Wanted, take: Take) -> None:
    """Features of all files, one after the other; each is decoded once."""
    for path, parts in wanted.items():
        for part, found in maker.all_windows(path, parts):
            take(path, part, found)


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
