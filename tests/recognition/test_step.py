from __future__ import annotations

from ecolite_stream.bench.measuring.watch import watch
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.views import ViewConfig
from ecolite_stream.recognition.recognizer import Recognizer
from ecolite_stream.recognition.step import MOST_AT_ONCE
from ecolite_stream.sources import Pattern, PatternSource
from ecolite_stream.types import FloatArray, Prediction
from tests.fakes import NumberEngine, spec_of


class CountingEngine(NumberEngine):
    """Notes the size of every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def encode(self, images: FloatArray) -> FloatArray:
        self.sizes.append(len(images))
        return super().encode(images)

    def classify(self, features: FloatArray) -> FloatArray:
        self.sizes.append(len(features))
        return super().classify(features)


def test_many_views_take_batches_of_bounded_size() -> None:
    """The memory of a library grows with the largest batch."""
    boxes = [(0.02 * n, 0.0, 0.5, 1.0) for n in range(19)]
    views = tuple(ViewConfig(region=f"r{n}", box=box) for n, box in enumerate(boxes))
    engine = CountingEngine()
    seen: list[Prediction] = []
    recognizer = Recognizer(engine, spec_of(4, 1.6), StreamConfig(views=views, gate=False))
    watch(PatternSource(Pattern(seconds=2)), recognizer, seen.append)
    assert len({prediction.view for prediction in seen}) == 19
    assert max(engine.sizes) == MOST_AT_ONCE
    assert engine.encoded.total() + len(seen) == sum(engine.sizes)
