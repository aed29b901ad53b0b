"""Recordings in bulk: find them, recognize each in a worker, keep results that can be resumed."""
