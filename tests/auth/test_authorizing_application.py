"""Permissions without a socket: every verb by role, patterns of names, and no way around them."""

import inspect
import threading
from itertools import count
from typing import Any, cast

import pytest
from attrs import evolve

from pyelevator.application import Application
from pyelevator.auth.authorizing_application import AuthorizingApplication
from pyelevator.auth.permissions import FULL_ACCESS, Grant, Permissions
from pyelevator.commands import (
    COMMANDS,
    Access,
    Command,
    DbConnect,
    DbCreate,
    DbDrop,
    DbList,
    DbMount,
    DbRepair,
    DbUmount,
    Delete,
    Get,
    Pipeline,
    Put,
    Range,
    Unknown,
)
from pyelevator.errors import ErrorCode, PermissionDenied
from pyelevator.messages import CallContext, Request
from support.links import swap_names
from support.samples import SAMPLES, SERVER_WIDE

DENIED = ErrorCode.OS


@pytest.fixture
def application():
    application = Application.in_memory()
    for name in ("app-1", "other"):
        application.catalog.create(name)
    application(Request(Put("k", "v"), application.catalog.uid_of("app-1")))
    return application


@pytest.fixture
def authorized(application):
    """Makes the guard of one client, "alice", with these grants: pattern=access."""

    def make(grants):
        granted = Permissions(tuple(Grant(access, pattern) for pattern, access in grants.items()))
        return AuthorizingApplication(application, lambda: {"alice": granted})

    return make


ALICE = CallContext("alice")

FAILS = {"BACKUP": (ErrorCode.DATABASE,)}
"""Verb -> how its sample fails where it is allowed: the memory engine makes no backups."""


def scope_of(verb):
    """The databases that a role has to be for, so that it is enough for the verb's sample."""
    return "*" if verb in SERVER_WIDE or verb in FAILS else "app-*"


def ask(authorized, command, db="app-1", peer="alice"):
    """The answer, asked for as the server's loop does; what it may not do at once is answered by a worker's call."""
    request = Request(command, authorized.catalog.uid_of(db), 7, context=CallContext(peer))
    return authorized.try_handle(request) or authorized(request)


def test_no_way_to_the_application_leads_past_the_guard():
    """The guard is an Application by inheritance: what answers a request there has to be said anew here.

    What only takes down that one was answered may stay.
    """
    ways = [
        name
        for name, method in vars(Application).items()
        if inspect.isfunction(method) and "request" in inspect.signature(method).parameters
    ]
    assert "__call__" in ways
    assert {name for name in ways if name not in vars(AuthorizingApplication)} == {"observe", "_database_name"}


def test_every_verb_has_a_sample_here():
    assert SAMPLES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("verb", SAMPLES)
@pytest.mark.parametrize("role", Access)
def test_a_role_may_do_what_it_includes_and_nothing_else(authorized, role, verb):
    needed, command = SAMPLES[verb]
    response = ask(authorized({scope_of(verb): role}), command)
    assert (response.code is not DENIED) == (role >= needed), response
    assert response.code in (None, DENIED, *FAILS.get(verb, ()))


@pytest.mark.parametrize("verb", SAMPLES)
@pytest.mark.parametrize("role", Access)
def test_a_worker_refuses_the_same_as_the_loop(authorized, application, role, verb):
    needed, command = SAMPLES[verb]
    request = Request(command, application.catalog.uid_of("app-1"), 7, context=ALICE)
    assert (authorized({scope_of(verb): role})(request).code is DENIED) == (role < needed)


@pytest.mark.parametrize("verb", SAMPLES)
@pytest.mark.parametrize("role", Access)
def test_what_is_refused_changes_nothing(authorized, application, role, verb):
    needed, command = SAMPLES[verb]
    ask(authorized({"other": Access.ADMIN, "app-*": role}), command)
    if role < needed:
        assert application.catalog.names() == ["default", "app-1", "other"]
        assert ask(AuthorizingApplication(application, lambda: {"alice": FULL_ACCESS}), Get("k")).payload == b"v"


def test_of_a_pipeline_what_is_allowed_is_executed_and_the_rest_refused(authorized):
    response = ask(authorized({"app-1": Access.READ}), Pipeline([Get("k"), Put("k", "changed"), Get("k")]))
    assert (response.code, response.id) == (None, 7)
    before, refused, after = response.payload
    assert (before.payload, refused.code, after.payload) == (b"v", DENIED, b"v")
    assert refused.message == "not allowed: PUT needs write access to the database app-1"


def test_a_pipeline_with_something_forbidden_is_not_answered_in_the_loop(authorized, application):
    request = Request(Pipeline([Get("k"), Delete("k")]), application.catalog.uid_of("app-1"), 7, context=ALICE)
    assert authorized({"app-1": Access.READ}).try_handle(request) is None


@pytest.mark.parametrize("verb", SAMPLES)
@pytest.mark.parametrize("peer", [None, "", "bob", "local", "Alice"])
def test_an_unknown_client_may_do_nothing(authorized, verb, peer):
    response = ask(authorized({"*": Access.ADMIN}), SAMPLES[verb][1], peer=peer)
    assert (response.code, response.message, response.id) == (
        DENIED,
        "not allowed: the server does not know this client's key (any more)",
        7,
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (Put("k", "v"), "not allowed: PUT needs write access to the database app-1"),
        (DbDrop("other"), "not allowed: DBDROP needs admin access to the database other"),
        (DbConnect("nothing"), "not allowed: DBCONNECT needs read access to the database nothing"),
    ],
)
def test_a_refusal_names_verb_access_and_database(authorized, command, message):
    response = ask(authorized({"app-*": Access.READ}), command)
    assert response.message == message
    error = command.error(response.code, response.message)
    assert type(error) is PermissionDenied
    assert isinstance(error, PermissionError)
    assert isinstance(error, OSError)


def test_a_forbidden_database_is_refused_whether_it_exists_or_not(authorized):
    answers = [ask(authorized({"app-*": Access.ADMIN}), DbConnect(name)) for name in ("other", "nothing")]
    assert [answer.message.replace("nothing", "other") for answer in answers] == [answers[0].message] * 2


@pytest.mark.parametrize("verb", [verb for verb, (needed, _) in SAMPLES.items() if needed is not Access.NONE])
def test_a_pattern_leaves_other_databases_out(authorized, verb):
    command = SAMPLES[verb][1]
    if command.names_database:
        command = evolve(cast(Any, command), name="other")
    assert ask(authorized({"app-*": Access.ADMIN}), command, db="other").code is DENIED


def test_a_uid_is_no_way_around_a_pattern(authorized, application):
    uid = application.catalog.uid_of("other")
    commands: list[Command[Any]] = [Get("k"), Put("k", "v"), Range(), DbRepair()]
    for command in commands:
        assert authorized({"app-*": Access.ADMIN})(Request(command, uid, context=ALICE)).code is DENIED


def test_a_uid_from_before_is_no_way_around_what_changed(application):
    granted = {"alice": FULL_ACCESS}
    authorized = AuthorizingApplication(application, lambda: granted)
    uid = ask(authorized, DbConnect("app-1")).payload.decode()
    assert authorized(Request(Get("k"), uid, context=ALICE)).payload == b"v"
    granted["alice"] = Permissions((Grant(Access.READ, "other"),))
    assert authorized(Request(Get("k"), uid, context=ALICE)).code is DENIED
    del granted["alice"]
    assert authorized(Request(Get("k"), uid, context=ALICE)).code is DENIED


def test_an_unknown_uid_is_answered_so_that_clients_connect_again(authorized, application):
    request = Request(Get("k"), "no-such-uid", 7, context=ALICE)
    assert authorized({"app-*": Access.READ})(request) == application(request)


def test_the_name_of_a_uid_is_the_one_of_now(authorized, application):
    uid = application.catalog.uid_of("app-1")
    application.catalog.drop("app-1")
    application.catalog.create("app-1")
    assert authorized({"app-*": Access.READ})(Request(Get("k"), uid, context=ALICE)).code is ErrorCode.RUNTIME


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("app-*", "app-1", True),
        ("app-*", "app-", True),
        ("app-*", "my-app-1", False),
        ("app-*", "APP-1", False),
        ("app", "app-1", False),
        ("app-[12]", "app-2", True),
        ("app-[!12]", "app-2", False),
        ("app-?", "app-10", False),
        ("*", "/srv/any", True),
        ("*", "two\nlines", True),
        ("app-1", "app-1\n", False),
        ("", "app", False),
        ("\udcff*", "\udcffx", True),
    ],
)
def test_patterns_are_those_of_a_shell_and_fit_whole_names(pattern, name, fits):
    assert Grant(Access.READ, pattern).matches(name) == fits


def test_the_highest_grant_that_fits_counts():
    granted = Permissions((Grant(Access.WRITE, "app-*"), Grant(Access.READ, "*"), Grant(Access.ADMIN, "app-1")))
    assert [granted.access(name) for name in ("x", "app-2", "app-1")] == [Access.READ, Access.WRITE, Access.ADMIN]


@pytest.mark.parametrize(
    ("grants", "names"),
    [
        ({"*": Access.READ}, [b"default", b"app-1", b"other"]),
        ({"app-*": Access.READ}, [b"app-1"]),
        ({"app-*": Access.ADMIN, "default": Access.WRITE}, [b"default", b"app-1"]),
        ({"app-*": Access.NONE}, []),
        ({}, []),
    ],
)
def test_the_list_holds_what_may_be_read(authorized, grants, names):
    response = ask(authorized(grants), DbList())
    assert (response.payload, response.code, response.id) == (names, None, 7)


def test_a_path_that_leads_to_a_database_counts_as_its_name(tmp_path):
    application = Application.on_leveldb(str(tmp_path))
    application.catalog.create("secret")
    granted = Permissions((Grant(Access.ADMIN, "/*"),))
    authorized = AuthorizingApplication(application, lambda: {"alice": granted})
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    for path in (f"{tmp_path}/secret", f"{tmp_path}/./secret/", f"{tmp_path}//secret", f"{tmp_path}/link"):
        for verb in (DbConnect, DbMount, DbUmount, DbDrop, DbCreate):
            assert authorized(Request(verb(path), context=ALICE)).code is DENIED
    assert application.catalog.names() == ["default", "secret"]
    authorized.close()


def test_a_link_that_is_swapped_all_the_time_drops_nothing_else(tmp_path):
    """Admin on one database, and a link to swap between it and another: what is dropped is what was checked."""
    application = Application.on_leveldb(str(tmp_path / "data"))
    application.catalog.create("secret")
    authorized = AuthorizingApplication(application, lambda: {"alice": Permissions((Grant(Access.ADMIN, "mine"),))})
    link, other, stop = tmp_path / "link", tmp_path / "other", threading.Event()
    link.symlink_to(tmp_path / "data" / "mine")
    other.symlink_to(tmp_path / "data" / "secret")

    def swap():
        for number in count():
            swap_names(link, other)
            if stop.wait(number % 3 * 0.001):  # now and then long enough for a drop
                return

    swapping = threading.Thread(target=swap)
    swapping.start()
    dropped = tries = 0
    try:
        while tries < 100 or not dropped:
            tries += 1
            if "mine" not in application.catalog.names():
                application.catalog.create("mine")
            dropped += authorized(Request(DbDrop(str(link)), context=ALICE)).code is None
    finally:
        stop.set()
        swapping.join()
    assert "secret" in application.catalog.names()
    authorized.close()


def test_files_that_are_links_give_no_rights_to_what_they_are_of(tmp_path):
    application = Application.on_leveldb(str(tmp_path / "data"))
    authorized = AuthorizingApplication(
        application, lambda: {"alice": Permissions((Grant(Access.ADMIN, f"{tmp_path}/*"),))}
    )
    application.catalog.create("secret")
    path = tmp_path / "db"
    path.mkdir()
    for file in (tmp_path / "data" / "secret").iterdir():
        (path / file.name).symlink_to(file)
    refused = authorized(Request(DbCreate(str(path)), context=ALICE))
    assert refused.message.startswith(f"{path} holds symbolic links (000003.log, CURRENT, LOCK and 2 more); ")
    assert application.catalog.names() == ["default", "secret"]
    authorized.close()


def test_a_link_gives_no_rights_where_it_leads(tmp_path):
    application = Application.on_leveldb(str(tmp_path / "data"))
    authorized = AuthorizingApplication(
        application, lambda: {"alice": Permissions((Grant(Access.ADMIN, f"{tmp_path}/alice/*"),))}
    )
    for name in ("alice", "bob"):
        (tmp_path / name).mkdir()
    (tmp_path / "alice" / "link").symlink_to(tmp_path / "bob")
    refused = authorized(Request(DbCreate(f"{tmp_path}/alice/link/db"), context=ALICE))
    assert refused.message == f"not allowed: DBCREATE needs admin access to the database {tmp_path}/alice/link/db"
    assert list((tmp_path / "bob").iterdir()) == []
    assert authorized(Request(DbCreate(f"{tmp_path}/alice/./db/"), context=ALICE)).code is None
    assert application.catalog.names() == ["default", f"{tmp_path}/alice/db"]
    authorized.close()


class Forgotten(Command[None]):
    """A verb of tomorrow whose author did not say who may use it."""

    verb = "FORGOTTEN"


class Global(Command[None]):
    """A verb of tomorrow that is about no database in particular."""

    verb = "GLOBAL"
    needs_uid = False


def test_a_verb_that_does_not_say_what_it_needs_is_for_admins(authorized):
    assert ask(authorized({"*": Access.WRITE}), Forgotten()).code is DENIED
    assert ask(authorized({"*": Access.ADMIN}), Forgotten()).code is ErrorCode.KEY


def test_commands_of_no_database_need_the_role_for_all_databases(authorized):
    refused = ask(authorized({"app-*": Access.ADMIN, "*": Access.WRITE}), Global())
    assert refused.message == "not allowed: GLOBAL needs admin access to all databases"
    assert ask(authorized({"*": Access.ADMIN}), Global()).code is ErrorCode.KEY


def test_an_unknown_verb_is_answered_as_unknown(authorized):
    assert ask(authorized({}), Unknown("FLY")).message == "Command FLY not handled"


def test_closing_closes_the_application(authorized, application):
    authorized({}).close()
    assert application.catalog.names() == []
