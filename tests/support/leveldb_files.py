"""LevelDB directories as other programs leave them, made by changing what LevelDB wrote."""

import hashlib
import os
import struct
from pathlib import Path

from pyelevator.engines.leveldb.format.checksums import masked_crc
from pyelevator.engines.leveldb.format.table_files import TableFile

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 2097152\n" % (b"4d7a" * 16)
ANNEX_POINTER = b"/annex/objects/SHA256E-s2097152--" + b"4d7a" * 16 + b"\n"
MERGE_MARKERS = b"<<<<<<< HEAD\nMANIFEST-000004\n=======\nMANIFEST-000007\n>>>>>>> theirs\n"


def checksums(folder):
    """Name -> kind, size and checksum of everything under the directory, links not followed."""
    return {str(file.relative_to(folder)): _checksum(file) for file in sorted(Path(folder).rglob("*"))}


def _checksum(file):
    if file.is_symlink():
        return "link", os.readlink(file)
    if file.is_dir():
        return "directory", ""
    return file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()


def blocks_of(table):
    """The handles of the table's data blocks."""
    descriptor = os.open(table, os.O_RDONLY)
    try:
        return TableFile(descriptor).blocks()[1:]
    finally:
        os.close(descriptor)


def set_block_type(table, kind, blocks=None, *, sound=True):
    """Marks data blocks of a table as compressed otherwise, with the right checksum unless ``sound`` is False."""
    content = bytearray(Path(table).read_bytes())
    for handle in blocks_of(table) if blocks is None else blocks:
        end = handle.offset + handle.size
        content[end] = kind
        if sound:
            content[end + 1 : end + 5] = struct.pack("<I", masked_crc(bytes(content[handle.offset : end + 1])))
    Path(table).write_bytes(content)


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def manifest(*edits):
    """The bytes of a manifest with these version edits, each a record."""
    out = b""
    for edit in edits:
        covered = b"\x01" + edit
        out += struct.pack("<IH", masked_crc(covered), len(edit)) + covered
    return out


def comparator(name):
    """A version edit that names the order of the keys, with the numbers of an empty database."""
    return b"\x01" + varint(len(name)) + name + b"\x02\x00\x03\x02\x04\x00"


def place_manifest(folder, *edits, number=4):
    Path(folder).mkdir(exist_ok=True)
    Path(folder, f"MANIFEST-{number:06}").write_bytes(manifest(*edits))
    Path(folder, "CURRENT").write_text(f"MANIFEST-{number:06}\n")
