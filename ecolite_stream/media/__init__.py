"""JPEG and H.264 for sinks and the page, and labels drawn into pictures."""
