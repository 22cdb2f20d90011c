"""What all feeds of one listener share: what they may take together, and how they ask."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from netkit.clients.listen.asking import Pace, Patience
from netkit.clients.listen.order import Room


@dataclass
class Common:
    """What all feeds of one listener share."""

    rng: random.Random
    patience: Patience = field(default_factory=Patience)
    room: Room = field(default_factory=Room)
    hold: float = 0.1
    """Seconds that a gap may hold up what follows, where it can't be asked for."""
    repair: bool = True
    """Whether to ask."""

    def __post_init__(self) -> None:
        self.pace = Pace(self.patience)
