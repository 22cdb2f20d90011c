"""The chat service: its settings, and what its connections share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import TracebackType
from typing import ClassVar

from netkit.errors import UsageError
from netkit.servers.chat import names
from netkit.servers.chat.connection import Bounds, Connection
from netkit.servers.chat.events import Event
from netkit.servers.chat.flood import Bucket
from netkit.servers.chat.lines import Session, encode, render
from netkit.servers.chat.outbox import Fanout
from netkit.servers.chat.rooms import Limits, Rooms
from netkit.service import ProtocolFactory, Service


@dataclass
class Chat(Service):
    """Chat rooms for people with nc, telnet, openssl s_client or netkit connect."""

    port: ClassVar[int] = 6667
    tls_port: ClassVar[int | None] = 6697
    one_process: ClassVar[bool] = True

    motd: str = field(
        default="Welcome to netkit chat.", metadata={"help": "message of the day; may be empty"}
    )
    lobby: str = field(default="lobby", metadata={"help": "the room that everybody starts in"})
    max_members: int = field(default=2_000, metadata={"help": "people in all"})
    max_rooms: int = field(default=1_000, metadata={"help": "rooms in all"})
    max_room: int = field(default=1_000, metadata={"help": "people in one room"})
    max_name: int = field(default=24, metadata={"help": "characters in a name"})
    max_line: int = field(default=2_048, metadata={"help": "bytes in a line"})
    outbox: int = field(
        default=262_144,
        metadata={"help": "bytes that may wait for a slow reader, who is dropped beyond"},
    )
    login_timeout: float = field(default=60.0, metadata={"help": "seconds to give a name"})
    rate: float = field(default=10.0, metadata={"help": "lines a second from one person"})
    burst: int = field(default=40, metadata={"help": "lines at once from one person"})

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if not isinstance(value, str) and not value > 0:
                flag = setting.name.replace("_", "-")
                raise UsageError(f"--{flag} is {value}: it must be more than 0")
        try:
            names.read(self.lobby, self.max_name)
        except names.BadName as error:
            raise UsageError(f"--lobby {self.lobby!r} cannot name a room: {error}") from None
        self._rooms = Rooms(
            Limits(
                members=self.max_members,
                rooms=self.max_rooms,
                members_per_room=self.max_room,
                name=self.max_name,
            )
        )
        self._bounds = Bounds(self.max_line, self.outbox, self.login_timeout)
        self._fanout = Fanout(_encoded)
        self._connections: set[Connection] = set()

    def stream(self) -> ProtocolFactory:
        """Serve every connection with the plain dialect."""
        return self._connection

    def figures(self) -> Mapping[str, float]:
        """Count what an operator of the house wants to know."""
        return {
            "chat_members": len(self._rooms.members),
            "chat_rooms": len(self._rooms.rooms),
            "chat_messages_total": self._rooms.messages,
            "chat_dropped_members_total": self._fanout.dropped,
            "chat_waiting_bytes": self._fanout.waiting(),
        }

    async def drain(self) -> None:
        """Tell everybody, then close each connection when it has taken what was said."""
        goodbye = encode("* server is going down")
        self._fanout.send(goodbye, [connection.outbox for connection in self._connections])
        self._fanout.outboxes.clear()  # nobody needs to hear how everybody else leaves
        for connection in list(self._connections):
            connection.finish("server is going down")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Abort what is still open; the loop tells those connections in its next turns."""
        self._fanout.outboxes.clear()
        for connection in list(self._connections):
            connection.abort("server is going down")
        self._fanout.close()

    def _connection(self) -> Connection:
        now = asyncio.get_running_loop().time()
        session = Session(
            self._rooms,
            motd=self.motd,
            lobby=self.lobby,
            bucket=Bucket(self.rate, self.burst, now),
        )
        return Connection(session, self._fanout, self._bounds, self._connections)


def _encoded(event: Event) -> bytes:
    return encode(render(event))
