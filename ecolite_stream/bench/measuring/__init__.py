"""Measure time, memory and processes."""
