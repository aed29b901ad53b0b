"""The networks once more, in PyTorch: what ours are held against, in numbers and in speed."""
