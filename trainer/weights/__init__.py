"""Checkpoint files: our own and published ones."""
