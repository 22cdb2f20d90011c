"""netkit's own streams: what asyncio's do, and what theirs do not."""
