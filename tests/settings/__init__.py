"""Settings from files: reading, writing, and processes that are run by them."""
