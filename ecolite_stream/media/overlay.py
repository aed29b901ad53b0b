"""Draw predictions and events into pictures."""

from __future__ import annotations

from collections.abc import Sequence

import cv2

from ecolite_stream.types import Event, Image, Prediction

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _GREEN, _RED = (255, 255, 255), (90, 200, 60), (60, 60, 230)


def draw(
    image: Image,
    time_s: float,
    prediction: Prediction | None,
    event: Event | None,
    boxes: Sequence[Prediction] = (),
) -> Image:
    """A copy of the picture with strips for the prediction, below, and the open event, above.

    Below are the label, its score as number and bar, and the time; above the event's label and
    duration. Letters that are not ASCII become question marks, which OpenCV's font lacks.

    Args:
        image: (H, W, 3) uint8 BGR.
        time_s: the picture's stream time.
        prediction: the newest at that time, if any.
        event: the open one, if any.
        boxes: predictions whose boxes are drawn with their labels; those without a box are not.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    drawn = image.copy()
    height, width = drawn.shape[:2]
    scale = max(0.4, 0.7 * min(width / 640, height / 480))
    line_px = round(34 * scale)
    for one in boxes:
        _draw_box(drawn, one, scale)
    strip = drawn[height - 2 * line_px :]
    strip[:] = strip // 3
    _write(drawn, f"{time_s:.2f} s", height - round(0.5 * line_px), scale, at_right=True)
    if prediction is not None:
        _write(drawn, _words(prediction), height - round(0.5 * line_px), scale)
        bar_px = round(width * min(max(prediction.score, 0.0), 1.0))
        drawn[height - 2 * line_px : height - round(1.7 * line_px), :bar_px] = _GREEN
    if event is not None:
        drawn[: round(1.5 * line_px)] //= 3
        radius = max(2, line_px // 4)
        cv2.circle(drawn, (line_px // 2, round(0.75 * line_px)), radius, _RED, -1, cv2.LINE_AA)
        words = f"{event.label} {max(0.0, time_s - event.start_s):.1f} s"
        _write(drawn, words, line_px, scale, left_px=line_px)
    return drawn


def _draw_box(image: Image, prediction: Prediction, scale: float) -> None:
    """Draw where a view looked, and its label under the upper edge."""
    box = prediction.box
    if box is None:
        return
    height, width = image.shape[:2]
    left, top = round(box.x * width), round(box.y * height)
    right, bottom = round((box.x + box.width) * width) - 1, round((box.y + box.height) * height) - 1
    thickness = max(1, round(2 * scale))
    cv2.rectangle(image, (left, top), (right, bottom), _GREEN, thickness)
    words = f"{prediction.view}: {_words(prediction)}" if prediction.view else _words(prediction)
    _write(image, words, top + round(30 * scale), 0.8 * scale, left_px=left + round(8 * scale))


def _words(prediction: Prediction) -> str:
    unknown = " unknown" if prediction.known is False else ""
    return f"{prediction.label} {prediction.score:.0%}{unknown}"


def _write(
    image: Image,
    words: str,
    baseline_px: int,
    scale: float,
    left_px: int | None = None,
    at_right: bool = False,
) -> None:
    words = words.encode("ascii", "replace").decode("ascii")
    margin_px = round(10 * scale)
    left = margin_px if left_px is None else left_px
    thickness = max(1, round(1.5 * scale))
    if at_right:
        (width_px, _), _ = cv2.getTextSize(words, _FONT, scale, thickness)
        left = image.shape[1] - margin_px - width_px
    place = (left, baseline_px)
    cv2.putText(image, words, place, _FONT, scale, _WHITE, thickness, cv2.LINE_AA)
