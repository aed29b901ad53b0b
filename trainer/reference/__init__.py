"""The networks in PyTorch: references for numbers and speed."""
