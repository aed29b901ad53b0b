"""Memory budget of clips."""

from __future__ import annotations

import threading


class Budget:
    """Thread-safe budget of bytes; first come, first served."""

    def __init__(self, megabytes: float) -> None:
        self._left = megabytes * 1e6
        self._lock = threading.Lock()

    def reserve(self, num_bytes: int) -> bool:
        """Reserve bytes; whether they were left."""
        with self._lock:
            if num_bytes > self._left:
                return False
            self._left -= num_bytes
            return True

    def give_back(self, num_bytes: int) -> None:
        with self._lock:
            self._left += num_bytes
