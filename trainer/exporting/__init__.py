"""Graphs for deployment targets."""
