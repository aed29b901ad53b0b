"""What a model is and what it is shown: bundle, preprocessing, sampling in time."""
