"""The command line `ecolite-stream`, and the assembly of a run."""
