"""Teaching new actions to a bundle: its last layer is fitted, or all are. No MindSpore here."""
