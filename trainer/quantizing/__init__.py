"""Graphs of a bundle in int8: calibrated on clips, judged on other clips. No MindSpore."""
