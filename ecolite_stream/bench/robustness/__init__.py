"""What a run survives, a lost camera or damaged files, tried with real parts."""
