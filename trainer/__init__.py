"""Networks, checkpoints, training, evaluation and export, with MindSpore."""

from ecolite_stream.engines.onednn import cap_cpu_isa
from ecolite_stream.engines.time_slice import ask_for_short_slices

# before any module here imports mindspore
cap_cpu_isa()
ask_for_short_slices()
