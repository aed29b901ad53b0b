"""Views: which squares of a picture the network looks at.

A stream is decoded once and watched through one or more views. `motion` finds what moves from the
brightness of small pictures; `follow` keeps one square on it, `subjects` one square on each moving
subject. No clock, no thread: the same frames give the same squares, live and in training.
"""
