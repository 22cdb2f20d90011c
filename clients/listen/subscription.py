"""The listener's side of a subscription: asking, proving its address, renewing, leaving.

It asks without a cookie, is challenged, repeats the question with the cookie, and is
subscribed or refused. After half of the time that it got it asks again. What isn't answered
is repeated, each time after twice as long a wait, up to `MOST_WAIT`. It never gives up by
itself: it tells what happens, and whoever runs it decides whether that is the end. A
refusal is followed by another try after `MOST_WAIT`.

An answer repeats the number of its question, 64 random bits: whoever can't read our questions
can't answer them. So `rng` should be a `random.SystemRandom`, but in tests.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TypeAlias

from netkit.clients.listen.events import Identity
from netkit.feeds.format import CONTROL, SIZE, Header, Kind, MalformedError

WAIT = 0.5
"""Seconds for the first answer: more than any round trip on Earth."""
MOST_WAIT = 30.0
"""Seconds between two questions, at most."""
TRIES = 6
"""Questions before `Unanswered` is told: after 16 to 47 seconds. Leaving ends after as many."""
_COOKIE = 16
_NUMBER = 8
_NO_COOKIE = bytes(_COOKIE)


@dataclass(frozen=True, slots=True)
class Subscribed:
    """It is; told once, renewals excepted."""

    feed: Identity
    next: int
    """The first number that will come."""
    seconds: int
    """Until it expires."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not. `reason` is a `netkit.feeds.format.Refusal`, or a number from a newer sender."""

    reason: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Several questions in a row had no answer: nobody may be there."""

    tries: int


@dataclass(frozen=True, slots=True)
class Lapsed:
    """It has expired without having been renewed; asking goes on."""


@dataclass(frozen=True, slots=True)
class Left:
    """It is over, as was wished; `confirmed` by the sender or not."""

    confirmed: bool


Happening: TypeAlias = Subscribed | Refused | Unanswered | Lapsed | Left


class Subscription:
    """One listener's with one sender. After each call there may be something in `outgoing`."""

    def __init__(self, seconds: int, rng: random.Random, now: float) -> None:
        self.feed = Identity(0, 0)
        """The feed's name, as far as we know it."""
        self.until: float | None = None
        """When it expires, on the loop's clock; None while there is none."""
        self.strays = 0
        """Answers to no question of ours."""
        self._again: float | None = now  # when to ask next
        self._seconds = seconds
        self._rng = rng
        self._cookie = _NO_COOKIE
        self._leaving = False
        self._open = False  # whether a question waits for its answer
        self._number = 0
        self._asked_at = now
        self._tries = 0
        self._challenged = False  # by the answer to a question that had a cookie just got
        self._send = False

    @property
    def deadline(self) -> float | None:
        """When to call `tick`; None when all is over."""
        if self._again is None or self.until is None:
            return self._again
        return min(self._again, self.until)

    def leave(self, now: float) -> list[Happening]:
        """Ask to be left out. It is over when `Left` is told, here or later."""
        self._leaving = True
        self._open = self._challenged = False
        self._tries = 0
        self.until = None
        if self._cookie == _NO_COOKIE:
            return self._over(confirmed=False)
        self._ask(now)
        return []

    def tick(self, now: float) -> list[Happening]:
        """Let time pass: ask, or ask again."""
        told: list[Happening] = []
        if self.until is not None and now >= self.until:
            self.until = None
            told.append(Lapsed())
        if self._again is None or now < self._again:
            return told
        if self._leaving and self._tries >= TRIES:
            return self._over(confirmed=False)
        if self._tries == TRIES:
            told.append(Unanswered(self._tries))
        self._ask(now)
        return told

    def outgoing(self, time: int) -> list[bytes]:
        """What to send to the sender now, `time` being nanoseconds of Unix time."""
        if not self._send:
            return []
        self._send = False
        seconds = 0 if self._leaving else self._seconds
        header = Header(Kind.SUBSCRIBE, *self.feed, self._number, time, seconds)
        return [(header.pack() + self._cookie).ljust(CONTROL, b"\0")]

    def receive(self, header: Header, payload: bytes, now: float) -> list[Happening]:
        """Hear of a challenge, subscribed or refused. Raises `MalformedError`."""
        if len(payload) != CONTROL - SIZE:
            raise MalformedError("size")
        if not self._open or header.sequence != self._number:
            self.strays += 1
            return []
        match header.kind:
            case Kind.CHALLENGE:
                self._hear_challenge(header, payload, now)
                return []
            case Kind.SUBSCRIBED:
                return self._hear_subscribed(header, payload, now)
            case Kind.REFUSED:
                return self._hear_refused(header, now)
        raise MalformedError("kind")

    def _hear_challenge(self, header: Header, payload: bytes, now: float) -> None:
        self._cookie = payload[:_COOKIE]
        self._open = False
        if header.extra:
            self._seconds = min(self._seconds, header.extra)
        if not self._challenged:  # else wait: two that never agree must not talk without pause
            self._challenged = True
            self._ask(now)

    def _hear_subscribed(self, header: Header, payload: bytes, now: float) -> list[Happening]:
        self._open = self._challenged = False
        self._tries = 0
        if self._leaving or not header.extra:
            return self._over(confirmed=True)
        feed = Identity(header.sender, header.epoch)
        known = self.until is not None and feed == self.feed
        self.feed = feed
        self.until = self._asked_at + header.extra
        self._again = now + header.extra / 2
        following = int.from_bytes(payload[:_NUMBER], "big")
        return [] if known else [Subscribed(feed, following, header.extra)]

    def _hear_refused(self, header: Header, now: float) -> list[Happening]:
        self._open = self._challenged = False
        self._tries = 0
        if self._leaving:
            return self._over(confirmed=True)
        self._again = now + MOST_WAIT
        return [Refused(header.extra)]

    def _over(self, *, confirmed: bool) -> list[Happening]:
        self.until = self._again = None
        self._open = self._send = False
        return [Left(confirmed)]

    def _ask(self, now: float) -> None:
        """Ask; while a question is open the same again: an answer to the first still counts."""
        if not self._open:
            self._number = self._rng.getrandbits(64)
            self._asked_at = now
        self._open = self._send = True
        wait = min(WAIT * 2 ** min(self._tries, 32), MOST_WAIT)
        self._again = now + wait * (0.5 + self._rng.random())
        self._tries += 1
