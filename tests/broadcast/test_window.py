"""The window: what was sent, byte for byte, within its bounds."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from netkit.servers.broadcast.window import Window


def filled(window: Window, count: int, size: int = 4, at: float = 0.0) -> Window:
    for _ in range(count):
        window.append(1, size, numbered(size), at)
    return window


def numbered(size: int) -> Callable[[int], bytes]:
    return lambda number: number.to_bytes(size, "big")


def numbers(window: Window, highest: int) -> list[int]:
    """What is found of all that was sent; each is itself."""
    found = {number: window.find(number) for number in range(highest + 2)}
    assert all(each is None or int.from_bytes(each, "big") == n for n, each in found.items())
    return [number for number, each in found.items() if each is not None]


def test_the_last_ones_are_kept() -> None:
    window = filled(Window(3), 5)
    assert numbers(window, 5) == [3, 4, 5]
    assert (window.oldest, len(window), window.following) == (3, 3, 6)


def test_an_empty_window() -> None:
    window = Window(3)
    assert (window.oldest, len(window), window.following, window.size) == (1, 0, 1, 0)
    assert window.find(1) is None
    assert window.find(0) is None


def test_bytes_are_bounded() -> None:
    window = filled(Window(1000, most_bytes=40), 50)
    assert numbers(window, 50) == list(range(41, 51))
    assert window.size == 40


def test_what_is_larger_than_the_bound_is_not_kept() -> None:
    window = filled(Window(10, most_bytes=3), 1)
    assert (len(window), window.size, window.following) == (0, 0, 2)


def test_age_is_bounded() -> None:
    window = Window(1000, seconds=10)
    for at in range(20):
        filled(window, 1, at=at)
    assert window.oldest == 10
    window.expire(now=25.5)
    assert numbers(window, 20) == [17, 18, 19, 20]
    window.expire(now=1000)
    assert (len(window), window.oldest, window.size) == (0, 21, 0)


def test_a_batch_is_one_run() -> None:
    window = Window(100)
    window.append(50, 8, numbered(8), 0.0)
    assert numbers(window, 50) == list(range(1, 51))
    assert len(window._runs) == 1


def test_a_batch_larger_than_the_window() -> None:
    window = Window(7)
    window.append(50, 8, numbered(8), 0.0)
    assert numbers(window, 50) == list(range(44, 51))
    assert len(window._runs) == 1


class Model:
    """The same with a list: slow, and plainly right."""

    def __init__(self, most: int, most_bytes: int, seconds: float) -> None:
        self.bounds = most, most_bytes, seconds
        self.runs: list[list[tuple[int, bytes, float]]] = []
        self.last = 0

    def append(self, sizes: list[bytes], now: float) -> None:
        self.runs.append([(self.last + 1 + at, each, now) for at, each in enumerate(sizes)])
        self.last += len(sizes)
        self.expire(now)

    def expire(self, now: float) -> None:
        most, most_bytes, seconds = self.bounds
        while self.runs and (
            self.runs[0][-1][0] <= self.last - most
            or sum(len(each) for run in self.runs for _, each, _ in run) > most_bytes
            or self.runs[0][0][2] < now - seconds
        ):
            del self.runs[0]

    def kept(self) -> dict[int, bytes]:
        low = self.last - self.bounds[0]
        return {n: each for run in self.runs for n, each, _ in run if n > low}


@given(
    st.integers(1, 12),
    st.integers(1, 60),
    st.integers(1, 8),
    st.lists(st.tuples(st.integers(1, 15), st.integers(1, 6), st.integers(0, 3)), max_size=25),
)
def test_as_a_list_would_do_it(
    most: int, most_bytes: int, seconds: int, runs: list[tuple[int, int, int]]
) -> None:
    window, model = Window(most, most_bytes, seconds), Model(most, most_bytes, seconds)
    now = 0
    for count, size, pause in runs:
        now += pause
        first = window.following
        sent = [bytes([number % 256]) * size for number in range(first, first + count)]
        window.append(count, size, dict(enumerate(sent, first)).__getitem__, now)
        model.append(sent, now)
        kept = model.kept()
        assert {
            n: found for n in range(model.last + 2) if (found := window.find(n)) is not None
        } == kept
        assert len(window) == len(kept)
        assert window.size == sum(len(each) for run in model.runs for _, each, _ in run)
