"""One command of each verb, and the access that it needs."""

from pyelevator.commands import (
    IS_MISSING,
    PUT,
    Access,
    Batch,
    ConditionalBatch,
    DbConnect,
    DbCreate,
    DbDrop,
    DbForget,
    DbList,
    DbMount,
    DbRepair,
    DbUmount,
    Delete,
    Exists,
    Get,
    GetAndDelete,
    Increment,
    MGet,
    Ping,
    Pipeline,
    Put,
    Range,
    Slice,
    Stats,
)

SAMPLES = {
    "GET": (Access.READ, Get("k")),
    "PUT": (Access.WRITE, Put("k", "v")),
    "DELETE": (Access.WRITE, Delete("k")),
    "EXISTS": (Access.READ, Exists("k")),
    "MGET": (Access.READ, MGet(["k"])),
    "RANGE": (Access.READ, Range()),
    "SLICE": (Access.READ, Slice(None, 5)),
    "BATCH": (Access.WRITE, Batch([(PUT, b"k", b"v")])),
    "CONDITIONALBATCH": (Access.WRITE, ConditionalBatch([(PUT, b"k", b"v")], [(IS_MISSING, b"k")])),
    "INCREMENT": (Access.WRITE, Increment("k")),
    "GETANDDELETE": (Access.WRITE, GetAndDelete("k")),
    "PING": (Access.NONE, Ping()),
    "DBCONNECT": (Access.READ, DbConnect("app-1")),
    "DBMOUNT": (Access.ADMIN, DbMount("app-1")),
    "DBUMOUNT": (Access.ADMIN, DbUmount("app-1")),
    "DBCREATE": (Access.ADMIN, DbCreate("app-2")),
    "DBDROP": (Access.ADMIN, DbDrop("app-1")),
    "DBFORGET": (Access.ADMIN, DbForget("app-1")),
    "DBLIST": (Access.NONE, DbList()),
    "DBREPAIR": (Access.ADMIN, DbRepair()),
    "PIPELINE": (Access.WRITE, Pipeline([Put("k", "v")])),
    "STATS": (Access.ADMIN, Stats()),
}
"""Verb -> the access it needs, and a command about app-1 (or app-2, which does not exist yet)."""

SERVER_WIDE = {"STATS"}
"""Verbs that are about no database, and so take access to all of them."""
