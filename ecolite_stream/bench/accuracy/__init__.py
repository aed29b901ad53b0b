"""Accuracy of a bundle: offline, live, calibration."""
