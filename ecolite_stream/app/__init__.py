"""The command line `ecolite-stream`, and what puts a run together."""
