"""The native half of pyelevator: whole pieces of work in C++, without Python's lock.

``leveldb`` is for servers, and links LevelDB's library; ``pages`` is for clients, and ``messages`` for both. pyelevator
imports them where they are installed; its own code on plyvel and msgpack is the reference, and does the same without
this package.
"""

__version__ = "0.1.0"

API = 4
"""The number of what these modules offer, in which pyelevator uses no other: ``pyelevator.native.API`` is the same."""
