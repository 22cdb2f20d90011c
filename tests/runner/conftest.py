"""What the tests of the runner share."""

from tests.forked import forks

__all__ = ["forks"]
