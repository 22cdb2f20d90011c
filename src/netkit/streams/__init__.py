"""asyncio's streams, made for a server: the same calls, with fewer copies and fewer frames.

In reading order:

- `unread`: what has arrived and nobody has read yet, in as few copies as can be.
- `reader`: waiting for it, a line or so many bytes.
- `protocol`: what the loop calls.
- `writer`: the way out.
"""

from netkit.streams.protocol import StreamProtocol
from netkit.streams.reader import Reader
from netkit.streams.writer import Writer

__all__ = ["Reader", "StreamProtocol", "Writer"]
