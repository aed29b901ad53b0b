"""Cameras on many machines: who watches what."""
