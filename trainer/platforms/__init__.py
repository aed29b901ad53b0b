"""Cloud platforms that the trainer runs on."""
