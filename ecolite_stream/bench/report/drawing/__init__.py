"""Figures of reports, drawn with OpenCV."""
