"""The native half of pyelevator: whole pieces of work in C++, without Python's lock.

``leveldb`` is for servers, and links LevelDB's library; ``pages`` is for clients. pyelevator imports either where it is
installed; its own code on plyvel and msgpack is the reference, and does the same without this package.
"""

__version__ = "0.1.0"
