"""Labelled clips and class lists."""
