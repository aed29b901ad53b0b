"""How right a bundle is: offline, live, calibrated."""
