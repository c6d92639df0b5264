"""A tiny base and a desk to work at."""

from tests.tiny import desk, tiny_base

__all__ = ["desk", "tiny_base"]
