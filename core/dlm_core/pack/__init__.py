"""A trained document as one file: written by `pack`, checked to the last byte and taken in by `unpack`."""

from dlm_core.pack.packing import Packed, pack
from dlm_core.pack.unpacking import Unpacked, unpack

__all__ = ["Packed", "Unpacked", "pack", "unpack"]
