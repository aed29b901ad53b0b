"""Record runs, and replay them byte for byte."""
