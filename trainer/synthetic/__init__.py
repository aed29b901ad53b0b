"""Synthetic people doing the ten Weizmann actions, and idling: clips without a download.

`draw_clip` draws one action, `draw_sequence` one person doing several after another, with a track
of the actions. All random numbers come from the given generator. On the command line:

    python -m trainer.synthetic clips --out DIR --clips-per-class 20 --seed 0
    python -m trainer.synthetic sequence --out FILE.mp4 --part walk:4 --part wave2:4
"""

from trainer.synthetic.drawing import draw_clip, draw_sequence, write_video
from trainer.synthetic.poses import ACTIONS

__all__ = ["ACTIONS", "draw_clip", "draw_sequence", "write_video"]
