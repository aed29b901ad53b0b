"""The training loop: start, step, schedule, state, scores."""
