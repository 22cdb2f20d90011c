"""What is held against a worker, and when it is due for replacement. No clock, no process."""

from __future__ import annotations

from dataclasses import dataclass, field

from netkit.errors import UsageError
from netkit.observability.figures import Figures


@dataclass(frozen=True)
class Health:
    """What is held against a worker; each is a flag ``--worker-…`` with this default."""

    timeout_start: float = field(
        default=60.0, metadata={"help": "seconds in which a worker must be ready"}
    )
    timeout: float = field(
        default=30.0,
        metadata={"help": "seconds without a sign of life, after which it hangs and is killed"},
    )
    max_age: float = field(
        default=0.0, metadata={"help": "seconds after which it is replaced; 0: never"}
    )
    max_connections: int = field(
        default=0, metadata={"help": "connections after which it is replaced; 0: never"}
    )
    max_memory: int = field(
        default=0, metadata={"help": "MiB of memory above which it is replaced; 0: never"}
    )

    def __post_init__(self) -> None:
        for name, least in (("timeout_start", 0.1), ("timeout", 3.0)):
            self._check(name, least, f"give at least {least:g}")
        for name in ("max_age", "max_connections", "max_memory"):
            self._check(name, 0, "give 0 (never) or more")

    def _check(self, name: str, least: float, mend: str) -> None:
        value = getattr(self, name)
        if not value >= least:  # so that nan fails too
            raise UsageError(f"--worker-{name.replace('_', '-')} {value:g}: {mend}")

    def worn(self, served: float, figures: Figures) -> str:
        """Why a worker is due for replacement after `served` seconds; empty if it is not."""
        if self.max_age and served >= self.max_age:
            return f"{self.max_age:g} s old (--worker-max-age)"
        accepted = figures.counters["accepted"]
        if self.max_connections and accepted >= self.max_connections:
            return f"{accepted} connections accepted (--worker-max-connections)"
        resident = int(figures.gauges.get("resident", 0)) // 2**20
        if self.max_memory and resident >= self.max_memory:
            return f"{resident} MiB of memory (--worker-max-memory)"
        return ""
