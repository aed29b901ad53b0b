"""Metrics and health of streams and sinks."""
