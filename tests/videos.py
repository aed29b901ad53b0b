"""Small videos whose frames carry their number: the names that tests import."""

from ecolite_stream.bench.robustness.numbered_video import numbered_image as numbered_image
from ecolite_stream.bench.robustness.numbered_video import packet_places as packet_places
from ecolite_stream.bench.robustness.numbered_video import read_number as read_number
from ecolite_stream.bench.robustness.numbered_video import (
    write_numbered_video as write_numbered_video,
)
