"""How much memory clips may take."""

from __future__ import annotations

import threading


class Budget:
    """Bytes that may be held, handed out to whoever asks first; for several threads."""

    def __init__(self, megabytes: float) -> None:
        self._left = megabytes * 1e6
        self._lock = threading.Lock()

    def reserve(self, num_bytes: int) -> bool:
        """Whether so many were left; then they are taken."""
        with self._lock:
            if num_bytes > self._left:
                return False
            self._left -= num_bytes
            return True

    def give_back(self, num_bytes: int) -> None:
        with self._lock:
            self._left += num_bytes
