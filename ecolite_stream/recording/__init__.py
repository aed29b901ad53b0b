"""A run kept on disk, and run again byte for byte."""
