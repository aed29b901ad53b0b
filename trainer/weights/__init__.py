"""Checkpoints: own files, published ones, files that hold them."""
