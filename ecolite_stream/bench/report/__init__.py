"""Reports of benchmarks as text, JSON and figures."""
