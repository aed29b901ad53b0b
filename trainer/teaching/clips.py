"""The clips of a folder with their features: what teaching starts from."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ecolite_stream.datasets.labelled_clips import ClipFile, find_clips
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


def find_taught(folder: Path) -> dict[ClipFile, str]:
    """The clips of a folder, each with the hash of its bytes; doubles are left out with a warning.

    Raises:
        ConfigError: there are no clips, an action has a name that is no label, or one file lies in
            two actions.
    """
    found: dict[ClipFile, str] = {}
    first: dict[str, ClipFile] = {}
    for clip in find_clips([folder]):
        if not is_printable(clip.label):
            raise ConfigError(f"{clip.path.parent} cannot be a label; rename the folder")
        try:
            digest = hash_clip(clip.path)
        except OSError as error:
            _log.warning("left out %s: %s", clip.name, error.strerror)
            continue
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
    taught: list[TaughtClip] = []
    with opened_without_classifier(bundle, engine) as opened:
        cache = FeatureCache(bundle, f"{opened.name} {opened.precision}", cache_folder)
        maker = FeatureMaker(opened, bundle.spec)
        with bar_of("features", len(clips)) as step:
            for number, (clip, digest) in enumerate(clips.items(), start=1):
                try:
                    windows = cache.get(
                        digest,
                        tuple(framings),
                        lambda missing, path=clip.path: maker.windows(path, missing),
                    )
                    taught.append(TaughtClip(clip.name, clip.label, windows))
                except SourceError as error:
                    _log.warning("left out %s: %s", clip.name, one_line(error))
                step(1)
                on_clip(number, len(clips))
        cache.prune()
    require_actions(taught)
    return taught


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
