"""The journal: what was accepted survives. It stands on its own: a plain asyncio program can use it too."""

from .codec import Codec
from .stored_types import register

__all__ = ["Codec", "register"]
