"""The classic dialect: the Python 2 server and client, 0.5, and pyelevator itself (docs/protocol.md)."""

from pyelevator.codec.classic.fast_path import ClassicCodec

__all__ = ["ClassicCodec"]
