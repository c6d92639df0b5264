"""The tiny base, and documents on it."""

from tests.tiny import desk, tiny_base

__all__ = ["desk", "tiny_base"]
