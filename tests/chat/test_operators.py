"""What an operator sees of the house: figures, and who each connection is."""

from __future__ import annotations

import asyncio

import netkit
from netkit.observability.listing import listing
from netkit.servers.chat import Chat
from tests.chat.house import person


async def test_figures_and_connections() -> None:
    chat = Chat()
    async with netkit.serve(chat) as server:
        port = server.endpoints[0].address.port

        def says() -> list[str]:
            return [each["says"] for each in listing(server.connections)]

        async with person(port, "alice") as alice, person(port, "bob") as bob:
            await alice.type("hello", "/me waves", "/msg bob psst", "/msg nobody psst")
            await alice.sees("nobody here is called nobody")
            await bob.type("/join den", "/leave den", "/leave lobby", "/who lobby")
            await bob.sees("* in #lobby: alice")
            await alice.type("/join den")
            await alice.sees("* in #den: alice")
            _, stranger = await asyncio.open_connection("127.0.0.1", port)
            while len(server.connections.open) < 3:
                await asyncio.sleep(0)  # a turn of the loop
            assert says() == ["alice in #lobby #den", "bob in no room", "no name yet"]
            assert chat.figures() == {
                "chat_members": 2,
                "chat_rooms": 2,
                "chat_messages_total": 3,
                "chat_dropped_members_total": 0,
                "chat_waiting_bytes": 0,
            }
            stranger.close()
            await stranger.wait_closed()
        await server.connections.emptied()
        assert chat.figures()["chat_members"] == 0
