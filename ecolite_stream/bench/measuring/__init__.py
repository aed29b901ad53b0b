"""How this machine measures: time, memory, processes."""
