"""What workers have to know of each other at once, in memory that they share.

How many connections come from one address is everybody's sum; to ask each other
would take a round trip for every newcomer. So each process has a row that it
alone writes, and reads those of all: no lock, and nothing to send. The
supervisor makes the memory, gives out the rows, and clears one when its process
has been reaped, however that ended.

Addresses are too many to list, so a row counts them in a sketch (count-min:
Cormode and Muthukrishnan, 2005): a hash chooses two of its counters for each
address, others may share them, and the smaller sum is at least what is true. The
hash has a key that no peer knows: nobody can choose addresses that share a
victim's counters.

=========== ======================================================
head        how many rows are in use, how many workers serve; the key
row 0 …     bytes of memory, open connections; counters by table
=========== ======================================================
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from netkit.errors import StartError

log = logging.getLogger("netkit.workers")

ROWS = 128
"""Processes that can count together. A row takes no memory until it is used."""

WIDTH = 1 << 15
"""Counters that one hash chooses from: see docs/decisions/0007."""

REMEMBERED = 4096
"""Names whose counters are known without a hash: at most 1 MiB; most who end came lately."""

TABLES = {"per-address": 0, "per-prefix": 1}
"""What is counted, by the limit's name."""

PAGE = 4096
CELL = 4
"""Bytes of a counter: that many connections no process can have."""
TABLE_CELLS = 2 * WIDTH
ROW_CELLS = PAGE // CELL + len(TABLES) * TABLE_CELLS
SIZE = PAGE + ROWS * ROW_CELLS * CELL

# Words of 8 bytes in the head and in the first page of a row.
IN_USE, WORKERS, KEY = 0, 1, 2
RESIDENT, OPEN = 0, 1


class Ledger:
    """The supervisor's side: gives out rows. Close it when the last worker has ended."""

    def __init__(self) -> None:
        """Raises `StartError` if the kernel has no memory for it."""
        try:
            self.descriptor = os.memfd_create("netkit-ledger")
            os.ftruncate(self.descriptor, SIZE)
        except OSError as error:
            raise StartError(f"no memory that workers can share: {error.strerror}") from error
        self._memory = Memory.mapped(self.descriptor)
        self._memory.raw[KEY * 8 : KEY * 8 + 16] = os.urandom(16)
        self._taken: set[int] = set()

    def take(self) -> int | None:
        """A row for one process, until it is given back; None if all are taken."""
        row = next((row for row in range(ROWS) if row not in self._taken), None)
        if row is None:
            log.warning("more than %d workers: this one's limits hold for it alone", ROWS)
        else:
            self._taken.add(row)
            self._count_rows()
        return row

    def give_back(self, row: int) -> None:
        """Clear a row whose process has ended, once."""
        self._taken.remove(row)
        start = PAGE + row * ROW_CELLS * CELL
        self._memory.raw[start : start + ROW_CELLS * CELL] = bytes(ROW_CELLS * CELL)
        self._count_rows()

    def share_among(self, workers: int) -> None:
        """Say how many workers share what there is for all."""
        self._memory.words[WORKERS] = workers

    def close(self) -> None:
        """Let go of the memory; the workers keep theirs."""
        self._memory.close()
        os.close(self.descriptor)

    def _count_rows(self) -> None:
        self._memory.words[IN_USE] = max(self._taken, default=-1) + 1


class Account:
    """A worker's side: writes its own row, and reads all."""

    def __init__(self, descriptor: int, row: int) -> None:
        """The descriptor stays the caller's."""
        self._memory = Memory.mapped(descriptor)
        self._key = bytes(self._memory.raw[KEY * 8 : KEY * 8 + 16])
        self._row = row
        self._cells = lru_cache(REMEMBERED)(self._chosen)

    @property
    def workers(self) -> int:
        """How many share what there is for all; at least 1."""
        return max(1, self._memory.words[WORKERS])

    def add(self, limit: str, name: bytes, most: int) -> bool:
        """Count one more of this name; whether there are at most so many in all.

        True is certain; by those who share its counters it may be False too early.
        """
        cells, (one, other) = self._memory.cells, self._cells(limit, name)
        own, rows = self._row * ROW_CELLS, self._memory.words[IN_USE] * ROW_CELLS
        cells[one + own] += 1
        cells[other + own] += 1
        return (
            sum(cells[one : one + rows : ROW_CELLS]) <= most
            or sum(cells[other : other + rows : ROW_CELLS]) <= most
        )

    def remove(self, limit: str, name: bytes) -> None:
        """Count one less of those that were added here."""
        cells, (one, other) = self._memory.cells, self._cells(limit, name)
        own = self._row * ROW_CELLS
        cells[one + own] -= 1
        cells[other + own] -= 1

    def report(self, resident: int, connections: int) -> None:
        """Say what this process holds: bytes of memory, and open connections."""
        words = self._memory.words
        start = self._word(self._row)
        words[start + RESIDENT], words[start + OPEN] = resident, connections

    def held(self) -> tuple[int, int]:
        """What all have reported together: bytes of memory, and open connections."""
        words = self._memory.words
        starts = [self._word(row) for row in range(words[IN_USE])]
        return (
            sum(words[start + RESIDENT] for start in starts),
            sum(words[start + OPEN] for start in starts),
        )

    def close(self) -> None:
        """Let go of the memory; what was counted stays until the supervisor clears it."""
        self._memory.close()

    def _chosen(self, limit: str, name: bytes) -> tuple[int, int]:
        """The two counters of a name, in the first row."""
        digest = hashlib.blake2b(name, key=self._key, digest_size=8).digest()
        one, other = struct.unpack("=II", digest)
        first = 2 * PAGE // CELL + TABLES[limit] * TABLE_CELLS
        return first + one % WIDTH, first + WIDTH + other % WIDTH

    def _word(self, row: int) -> int:
        return (PAGE + row * ROW_CELLS * CELL) // 8


@dataclass(frozen=True)
class Memory:
    """The mapping, as bytes, as counters, and as words of 8 bytes.

    By views in the machine's own format: they write a number with one store, so
    that nobody can read half of it.
    """

    mapping: mmap.mmap
    raw: memoryview
    cells: memoryview
    words: memoryview

    @classmethod
    def mapped(cls, descriptor: int) -> Self:
        """Map it; the descriptor stays the caller's."""
        mapping = mmap.mmap(descriptor, SIZE)
        raw = memoryview(mapping)
        return cls(mapping, raw, raw.cast("I"), raw.cast("Q"))

    def close(self) -> None:
        """Unmap it."""
        for view in (self.cells, self.words, self.raw):
            view.release()
        self.mapping.close()
