"""The ECO networks; `build_network` makes one from its configuration."""

from __future__ import annotations

from dataclasses import dataclass

from ecolite_stream.errors import ConfigError
from trainer.network.eco_full import EcoFull
from trainer.network.eco_lite import EcoLite

Network = EcoLite | EcoFull
ARCHITECTURES: dict[str, type[EcoLite] | type[EcoFull]] = {
    "eco_lite": EcoLite,
    "eco_full": EcoFull,
}
NUM_SEGMENTS = (4, 8, 12, 16, 20, 24, 32)
MIN_IMAGE_SIZE = 32


@dataclass(frozen=True)
class NetworkConfig:
    """Parameters of a network.

    Attributes:
        architecture: `eco_lite` or `eco_full`.
        num_segments: N, frames a clip.
        image_size: S, side of the square input in pixels.
        num_classes: logits.
        width: channel multiplier; 1 is the paper.
    """

    architecture: str = "eco_lite"
    num_segments: int = 4
    image_size: int = 224
    num_classes: int = 101
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ConfigError(
                f"architecture is {self.architecture!r}; known: {', '.join(ARCHITECTURES)}"
            )
        if self.num_segments not in NUM_SEGMENTS:
            raise ConfigError(
                f"num_segments is {self.num_segments}; expected one of "
                f"{', '.join(map(str, NUM_SEGMENTS))}"
            )
        if not MIN_IMAGE_SIZE <= self.image_size <= 1024:
            raise ConfigError(
                f"image_size is {self.image_size}; expected {MIN_IMAGE_SIZE} to 1024 pixels"
            )
        if self.num_classes < 1:
            raise ConfigError(f"num_classes is {self.num_classes}; expected at least 1")
        if not 0 < self.width <= 4:
            raise ConfigError(f"width is {self.width}; expected more than 0 and at most 4")


def build_network(config: NetworkConfig, dropout: float = 0.0) -> Network:
    """Build a network with random weights, training mode off (`set_train` turns it on)."""
    network = ARCHITECTURES[config.architecture](
        config.num_classes, config.image_size, config.width, dropout
    )
    network.set_train(False)
    return network
