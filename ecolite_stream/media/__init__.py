"""Pictures and videos that sinks and the page write: JPEG, H.264, labels drawn in."""
