"""Configuration of the trainer."""
