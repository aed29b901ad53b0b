"""Commands of `ecolite-bench` that have more than a few lines; `cli` puts them together."""
