"""The settings in the URL of a PostgreSQL engine."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self
from urllib.parse import parse_qsl, quote, urlencode

from attrs import frozen
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import ProgrammingError

from pyelevator.errors import UsageError

_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,39}")


def _schema(value: str) -> str:
    if _SCHEMA.fullmatch(value):
        return value
    raise ValueError("must be a name of lowercase letters, digits and _")


def _seconds(value: str) -> float:
    number = float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else 0.0
    if 0.1 <= number <= 3600:
        return number
    raise ValueError("must be a number of seconds from 0.1 to 3600")


def _count(value: str) -> int:
    number = int(value) if re.fullmatch(r"\d{1,4}", value) else 0
    if 1 <= number <= 1000:
        return number
    raise ValueError("must be a number from 1 to 1000")


_OWN: Final[Mapping[str, Any]] = {
    "schema": _schema,
    "call_timeout": _seconds,
    "pool_size": _count,
    "snapshot_pool_size": _count,
}
"""Parameters of the URL that are not libpq's -> their parsers."""


@frozen
class PostgreSqlSettings:
    """Settings of a PostgreSQL cluster, from its URL.

    Attributes:
        endpoints: libpq's connection strings, one for each server of the cluster.
        schema: the schema with the tables.
        call_timeout: seconds that a call may take in all; large batches and reads get more.
        pool_size: connections for reads and writes.
        snapshot_pool_size: connections for snapshots: so many different moments can be kept at once.
    """

    endpoints: tuple[bytes, ...]
    schema: str = "elevator"
    call_timeout: float = 3.0
    pool_size: int = 16
    snapshot_pool_size: int = 8

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Parse a URL.

        Args:
            url: libpq's ``postgresql://user@host,host/database?parameter=value``, with the parameters of this class.

        Raises:
            UsageError: it is none, or it has a password.
        """
        base, _, query = url.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        own = {name: _parse(name, value) for name, value in pairs if name in _OWN}
        rest = urlencode([pair for pair in pairs if pair[0] not in _OWN], quote_via=quote)
        try:
            given = conninfo_to_dict(f"{base}?{rest}" if rest else base)
        except ProgrammingError as error:
            raise UsageError(f"the engine's URL is not one that PostgreSQL's client library takes: {error}") from None
        if "password" in given or "sslpassword" in given:
            raise UsageError(
                "the engine's URL has a password, which others could read there; "
                "put it into a file (passfile=/path in the URL, or ~/.pgpass) or into the environment (PGPASSWORD)"
            )
        return cls(tuple(_endpoints(given)), **own)


def _parse(name: str, value: str) -> Any:
    try:
        return _OWN[name](value)
    except ValueError as error:
        raise UsageError(f"the parameter {name} of the engine's URL {error}") from None


def _endpoints(given: Mapping[str, Any]) -> list[bytes]:
    """Return a connection string for each server; the engine itself finds the primary among them."""
    common = {"application_name": "elevator", **given}
    added = _defaults(given.get("service"))
    lists = {name: (given.get(name) or added.get(name) or "").split(",") for name in ("host", "hostaddr", "port")}
    size = max(len(lists["host"]), len(lists["hostaddr"]))
    if size < 2:
        return [make_conninfo(**common).encode()]
    common = {
        name: value
        for name, value in common.items()
        if name not in {*lists, "target_session_attrs", "load_balance_hosts"}
    }
    return [make_conninfo(**common, **_nth(lists, index)).encode() for index in range(size)]


def _defaults(service: str | None) -> dict[str, str]:
    """Return what libpq adds from a service's file and from the environment; it reads the name of the service there."""
    before = os.environ.get("PGSERVICE")
    try:
        if service is not None:
            os.environ["PGSERVICE"] = service
        return {one.keyword.decode(): one.val.decode() for one in pq.Conninfo.get_defaults() if one.val}
    finally:
        if before is not None:
            os.environ["PGSERVICE"] = before
        elif service is not None:
            del os.environ["PGSERVICE"]


def _nth(lists: Mapping[str, Sequence[str]], index: int) -> dict[str, str]:
    """Return host, address and port of one server; a single port is that of all."""
    values = {name: values[index if len(values) > 1 else 0] for name, values in lists.items()}
    return {name: value for name, value in values.items() if value}
