"""Speed of engines and streams."""
