"""Robustness commands: lost cameras and damaged files, with real parts."""
