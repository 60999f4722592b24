"""Contents of modules of py-elevator 0.5c that are nowhere else here; loaded with the first of those modules."""

from collections.abc import Mapping, Sequence
from typing import Any


def enum(*names: str, **values: object) -> type:
    """Make a class whose attributes are the names, numbered from 0.

    >>> enum("ONLINE", "OFFLINE").OFFLINE
    1
    """
    return type("Enum", (), {**dict(zip(names, range(len(names)), strict=True)), **values})


def ms_to_sec(milliseconds: float) -> int:
    """Cut milliseconds down to whole seconds."""
    return int(milliseconds / 1000)


def sec_to_ms(seconds: float) -> float:
    """Give seconds in milliseconds: a float for a float, else an int."""
    return seconds * 1000


def encode_request(
    *, command: str, args: object, db_uid: str | None = None, meta: Mapping[str, object] | None = None
) -> bytes:
    """Encode a request, as ``pyelevator.message.Request(...)`` did.

    >>> encode_request(command="PING", args=[]).hex()
    '84a46d65746181ab636f6d7072657373696f6ec2a3756964c0a3636d64a450494e47a46172677390'
    """
    from pyelevator.codec.packing import pack

    return pack({"meta": {"compression": False} if meta is None else meta, "uid": db_uid, "cmd": command, "args": args})


class OldResponse:
    """The content of a reply, as ``pyelevator.message.Response``.

    Attributes:
        datas: What the server answered, with bytes in it.
    """

    def __init__(self, raw_message: bytes, *, compression: bool = False) -> None:
        from pyelevator.codec import Limits
        from pyelevator.codec.lz4 import decompress

        content = decompress(raw_message, Limits()) if compression else raw_message
        (self.datas,) = _fields(content, "datas")


class OldResponseHeader:
    """The header of a reply, as ``pyelevator.message.ResponseHeader``."""

    def __init__(self, raw_header: bytes) -> None:
        self.status, self.err_code, self.err_msg = _fields(raw_header, "status", "err_code", "err_msg")


def _fields(raw: bytes, *names: str) -> Sequence[Any]:
    from pyelevator.codec import Limits
    from pyelevator.codec.packing import unpack
    from pyelevator.errors import MalformedMessage

    message = unpack(raw, Limits())
    try:
        return [message[name.encode()] for name in names]
    except (KeyError, TypeError) as error:
        raise MalformedMessage(f"a reply holds {', '.join(names)}") from error
