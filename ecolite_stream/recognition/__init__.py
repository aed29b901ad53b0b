"""Features to predictions to events: no clock, no thread, no I/O."""
