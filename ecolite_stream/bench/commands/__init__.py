"""Commands of `ecolite-bench`."""
