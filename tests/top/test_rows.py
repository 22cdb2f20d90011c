"""How values are written, and which rows are shown in which order."""

from __future__ import annotations

import pytest

from netkit.cli.top.columns import CONNECTIONS, WORKERS, Column, delay, duration, pace, size
from netkit.cli.top.plain import lined_up
from netkit.cli.top.rates import Row
from netkit.cli.top.rows import Order, holding, ordered
from tests.top.samples import connection, worker


def column(head: str) -> Column:
    return next(each for each in CONNECTIONS if each.head == head)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"), (999, "999 B"), (999.6, "1.00 kB"), (1234, "1.23 kB"), (99_960, "100 kB"),
        (999_600, "1.00 MB"), (12_345_678, "12.3 MB"), (5e9, "5.00 GB"), (2.5e15, "2,500 TB"),
    ],
)  # fmt: skip
def test_bytes(number: float, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"),
     (86_400, "1d00h"), (400 * 86_400, "400d00h")],
)  # fmt: skip
def test_times(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_short_times_and_paces() -> None:
    assert [delay(each) for each in (0.00002, 0.0123, 1.5)] == ["0.02 ms", "12.3 ms", "1,500 ms"]
    assert [pace(each) for each in (0, 0.25, 12.34, 1234.5)] == ["0", "0.25", "12.3", "1,234"]


def test_every_column_writes_what_fits() -> None:
    row = Row(
        connection(1234567, 1e6, 10**12, 10**12, tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
                   rtt=9.0, quiet=86_400.0, says="a" * 200),
        {"received": 999_499.0, "sent": 0.001},
    )  # fmt: skip
    assert all(len(each.cell(row)) <= each.width for each in CONNECTIONS)
    held_up = Row(worker(1, 5, answers=False))
    assert "held up" in [each.cell(held_up) for each in WORKERS]


def test_what_the_service_says_drives_no_terminal() -> None:
    row = Row(connection(1, 1.0, says="\x1b[2Jred\nalert"))
    assert column("SAYS").cell(row) == "^[[2Jred alert"


def test_the_unknown_comes_last_either_way() -> None:
    rows = [Row(connection(number, 1.0), {"received": rate})
            for number, rate in ((1, None), (2, 5.0), (3, 50.0))]  # fmt: skip
    order = Order.by(column("IN/s"))
    assert [row.entry["id"] for row in ordered(rows, order)] == [3, 2, 1]
    assert [row.entry["id"] for row in ordered(rows, order.turned())] == [2, 3, 1]
    assert str(order) == "IN/s ▼"
    assert str(order.turned()) == "IN/s ▲"


def test_texts_are_sorted_from_a_whatever_their_case() -> None:
    rows = [Row(connection(1, 1.0, says=says)) for says in ("bob", "Alice", None)]
    found = ordered(rows, Order.by(column("SAYS")))
    assert [row.entry["says"] for row in found] == ["Alice", "bob", None]


def test_a_text_is_looked_for_in_what_is_known() -> None:
    rows = [
        Row(connection(1, 1.0, says="Alice in #python")),
        Row(connection(2, 1.0, listener="tls://127.0.0.1:6697", tls="TLSv1.3 X")),
        Row(connection(3, 1.0)),
    ]
    for text, found in (
        ("", [1, 2, 3]), ("alice", [1]), ("6697", [2]), ("tlsv1.3", [2]), ("40003", [3]), ("!", []),
    ):  # fmt: skip
        assert [row.entry["id"] for row in holding(rows, text)] == found


def test_a_table_lines_up() -> None:
    rows = [Row(connection(1, 1.0, says="a")), Row(connection(20, 100.0))]
    columns = [column("ID"), column("SAYS"), column("AGE")]
    assert lined_up(columns, rows) == ["ID  SAYS    AGE", " 1  a     1.0 s", "20  -     1m40s"]
