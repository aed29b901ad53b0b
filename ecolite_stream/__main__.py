"""`python -m ecolite_stream` is `ecolite-stream`."""

from ecolite_stream.cli import main

main()
