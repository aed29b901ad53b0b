"""Teaching new actions to a bundle: its features stay, its last layer is fitted. No MindSpore."""
