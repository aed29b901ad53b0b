"""Makes the weights: networks, checkpoints, training, evaluation and export, with MindSpore."""

from ecolite_stream.engines.onednn import cap_cpu_isa

cap_cpu_isa()  # before any module here imports mindspore
