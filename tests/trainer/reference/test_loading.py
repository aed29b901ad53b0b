"""Both ways of making batches give batches."""

from __future__ import annotations

import pytest

from trainer.reference.loading import by_processes, by_threads

pytestmark = pytest.mark.timeout(120)


def test_batches_are_made_by_threads_and_by_processes() -> None:
    assert by_threads(2) > 0
    assert by_processes(2) > 0
