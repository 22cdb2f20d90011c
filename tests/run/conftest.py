"""What the tests of ``netkit run`` share."""

from tests.forked import forks

__all__ = ["forks"]
