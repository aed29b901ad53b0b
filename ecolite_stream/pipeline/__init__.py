"""Threads and bounded queues: from sources through the engine to sinks."""
