"""The file of permissions and the directory of clients: how they are read, and read again."""

import logging
import os
from typing import Any

import pytest

from pyelevator.auth import ClientAuth
from pyelevator.auth.keys import ClientKeys, server_secret
from pyelevator.auth.permissions import FULL_ACCESS, Grant, Permissions, read_permissions
from pyelevator.commands import Access
from pyelevator.errors import UsageError
from support.clocks import Clock

KEY = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
READ_APP = Permissions((Grant(Access.READ, "app-*"),))


@pytest.fixture
def clock():
    return Clock(0.0)


def test_the_documented_file_is_read(tmp_path):
    (tmp_path / "p.toml").write_text(
        f"""
        [alice]
        read = ["*"]
        write = ["app-*"]
        admin = "scratch"

        [reports]
        key = "{KEY}"
        read = ["app-*"]

        ["*"]
        read = ["public"]

        [local]
        admin = ["*"]

        [guest]
        """
    )
    assert read_permissions(tmp_path / "p.toml") == {
        "alice": Permissions((Grant(Access.READ, "*"), Grant(Access.WRITE, "app-*"), Grant(Access.ADMIN, "scratch"))),
        "reports": Permissions((Grant(Access.READ, "app-*"),), KEY),
        "*": Permissions((Grant(Access.READ, "public"),)),
        "local": FULL_ACCESS,
        "guest": Permissions(),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[alice", r"Expected '\]'"),
        ("alice = 'read'", r"alice is no table; a client's begins with \[alice\]"),
        ("[alice]\nreads = ['*']", r"\[alice\] has no 'reads'; there are read, write, admin and key"),
        ("[alice]\nread = 1", r"\[alice\]: a role is followed by patterns of database names"),
        ("[alice]\nread = ['']", r"\[alice\]: a role is followed by patterns of database names"),
        ("[alice]\nread = [['*']]", r"\[alice\]: a role is followed by patterns of database names"),
        ("[alice]\nkey = 'short'", r"\[alice\]: key must be the public key of one client"),
        ("[alice]\nkey = 1", r"\[alice\]: key must be the public key of one client"),
        (f"[local]\nkey = '{KEY}'", r"\[local\]: key must be the public key of one client"),
        (f"['*']\nkey = '{KEY}'", r"\[\*\]: key must be the public key of one client"),
        ("\0", "p.toml"),
    ],
)
def test_what_is_not_understood_names_the_file_and_the_client(tmp_path, text, message):
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_permissions(tmp_path / "p.toml")
    assert str(caught.value).startswith(f"{tmp_path}/p.toml: ")


def test_what_is_no_text_is_told(tmp_path):
    (tmp_path / "p.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"p\.toml"):
        read_permissions(tmp_path / "p.toml")


def test_without_permissions_every_known_client_has_full_access(keys):
    alice = keys.let_in("alice")
    assert ClientKeys(keys.directory).permissions() == {alice.public_key: FULL_ACCESS, "local": FULL_ACCESS}


def test_each_client_has_the_permissions_of_its_table_or_of_others(keys):
    alice, bob = keys.let_in("alice"), keys.let_in("bob")
    keys.permit("[alice]\nread = 'app-*'\n['*']\nadmin = 'scratch'")
    assert ClientKeys(keys.directory).permissions() == {
        alice.public_key: READ_APP,
        bob.public_key: Permissions((Grant(Access.ADMIN, "scratch"),)),
        "local": FULL_ACCESS,
    }


def test_with_one_that_does_not_name_it_a_client_may_do_nothing(keys):
    bob = keys.let_in("bob")
    keys.permit("[alice]\nread = 'app-*'")
    assert ClientKeys(keys.directory).permissions()[bob.public_key] == Permissions()


def test_socket_files_can_be_bound_by_permissions_too(keys):
    keys.permit("[local]\nread = 'app-*'")
    assert ClientKeys(keys.directory).permissions() == {"local": READ_APP}


def test_a_key_in_the_file_of_permissions_lets_in(keys):
    alice = keys.let_in("alice")
    keys.permit(f"[reports]\nkey = '{KEY}'\nread = 'app-*'\n[alice]\nkey = '{keys.server_key}'")
    clients = ClientKeys(keys.directory)
    assert clients.is_known(KEY)
    assert clients.permissions().keys() == {alice.public_key, keys.server_key, KEY, "local"}
    assert clients.permissions()[KEY].access("app-1") is Access.READ


def test_keys_come_and_go_with_their_files(keys):
    clients = ClientKeys(keys.directory)
    alice = keys.let_in("alice")
    assert clients.is_known(alice.public_key)
    keys.file("alice").rename(keys.file("alice").with_suffix(".off"))
    assert not clients.is_known(alice.public_key)


def test_another_key_in_the_same_file_replaces_the_one_before(keys):
    first = keys.let_in("alice")
    clients = ClientKeys(keys.directory)
    second = keys.make("bob")
    keys.file("alice").write_bytes((keys.secrets / "bob.key").read_bytes())
    assert (clients.is_known(first.public_key), clients.is_known(second.public_key)) == (False, True)


def test_requests_look_at_the_files_once_a_second(keys, clock):
    alice = keys.let_in("alice")
    clients = ClientKeys(keys.directory, clock)
    keys.file("alice").unlink()
    clock.now = 0.99
    assert alice.public_key in clients.permissions()
    clock.now = 1.0
    assert alice.public_key not in clients.permissions()


def test_files_that_did_not_change_are_not_read_again(keys, clock, monkeypatch):
    keys.let_in("alice")
    clients = ClientKeys(keys.directory, clock)
    before = clients.permissions()
    clock.now = 5.0
    assert clients.permissions() is before


@pytest.fixture
def dear(keys, clock, monkeypatch):
    """Client keys whose check takes a second, and a list of the checks."""
    looks, look = list[Any](), ClientKeys._fingerprint_files
    monkeypatch.setattr("pyelevator.auth.keys.thread_time", lambda: float(len(looks)))
    monkeypatch.setattr(ClientKeys, "_fingerprint_files", lambda clients: looks.append(clients) or look(clients))
    return ClientKeys(keys.directory, clock), looks


def test_unknown_clients_do_not_cause_a_check_of_all_files_each(dear):
    clients, looks = dear
    assert not any(clients.is_known(KEY) for _ in range(100))
    assert len(looks) == 1


def test_a_key_that_comes_or_goes_is_seen_at_once_among_thousands(keys, dear):
    (clients, looks), alice = dear, keys.let_in("alice")
    assert clients.is_known(alice.public_key)
    keys.file("alice").unlink()
    os.utime(keys.directory / "clients", ns=(0, 0))  # the clock of file systems may stand still meanwhile
    assert not clients.is_known(alice.public_key)
    assert len(looks) == 3


def test_a_key_that_is_replaced_among_thousands_is_seen_a_moment_later(keys, dear, clock):
    (clients, _), alice, bob = dear, keys.let_in("alice"), keys.make("bob")
    assert clients.is_known(alice.public_key)
    keys.file("alice").write_bytes((keys.secrets / "bob.key").read_bytes())
    assert not clients.is_known(bob.public_key)
    clock.now += 10
    assert (clients.is_known(alice.public_key), clients.is_known(bob.public_key)) == (False, True)


def test_a_file_that_was_only_touched_is_read_again(keys):
    keys.let_in("alice")
    clients = ClientKeys(keys.directory)
    before = clients.permissions()
    os.utime(keys.file("alice"), (1, 1))
    clients.reload_if_changed()
    assert clients.permissions() is not before


@pytest.mark.parametrize("text", ["[alice", "[alice]\nfly = '*'"])
def test_malformed_permissions_leave_the_previous_ones_in_force(keys, caplog, text):
    alice = keys.let_in("alice")
    keys.permit("[alice]\nread = 'app-*'")
    clients = ClientKeys(keys.directory)
    keys.permit(text)
    clients.reload_if_changed()
    assert clients.permissions()[alice.public_key] == READ_APP
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "what was allowed before stays allowed: " in record.getMessage()
    assert "permissions.toml" in record.getMessage()


def test_a_first_file_of_permissions_that_is_broken_is_told_too(keys, caplog):
    keys.let_in("alice")
    clients = ClientKeys(keys.directory)
    keys.permit("[alice")
    clients.reload_if_changed()
    assert "stays allowed" in caplog.text


def test_permissions_that_vanish_open_nothing(keys, caplog):
    """An editor that deletes and writes anew must not make every client an admin meanwhile."""
    alice = keys.let_in("alice")
    keys.permit("[alice]\nread = 'app-*'")
    clients = ClientKeys(keys.directory)
    (keys.directory / "permissions.toml").unlink()
    clients.reload_if_changed()
    assert clients.permissions()[alice.public_key] == READ_APP
    assert "has vanished" in caplog.text
    keys.permit("[alice]\nwrite = '*'")
    clients.reload_if_changed()
    assert clients.permissions()[alice.public_key] == Permissions((Grant(Access.WRITE, "*"),))


def test_broken_permissions_do_not_keep_a_removed_key(keys):
    alice = keys.let_in("alice")
    keys.permit("[alice]\nread = 'app-*'")
    clients = ClientKeys(keys.directory)
    keys.permit("[alice")
    keys.file("alice").unlink()
    assert not clients.is_known(alice.public_key)


def test_broken_permissions_keep_a_server_from_starting(keys):
    keys.permit("[alice")
    with pytest.raises(UsageError, match=r"permissions\.toml"):
        ClientAuth.from_directory(keys.directory)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff", b'public-key = "short"'])
def test_an_unreadable_key_file_admits_no_client_and_rejects_no_other(keys, caplog, content):
    alice = keys.let_in("alice")
    keys.file("broken").write_bytes(content)
    assert ClientKeys(keys.directory).permissions().keys() == {alice.public_key, "local"}
    assert "a key is left out: " in caplog.text
    assert "broken.key" in caplog.text


@pytest.mark.parametrize("name", ["local", "*"])
def test_a_client_cannot_have_the_name_of_a_table_that_means_others(keys, caplog, name):
    bob = keys.let_in("bob")
    keys.file("bob").rename(keys.file(name))
    assert not ClientKeys(keys.directory).is_known(bob.public_key)
    assert f"no client can be called {name}" in caplog.text


@pytest.mark.parametrize("name", [".alice.key", "alice.key~", "alice.key.swp", "alice.key_secret", "alice"])
def test_other_files_admit_no_client(keys, name):
    alice = keys.let_in("alice")
    keys.file("alice").rename(keys.file("alice").with_name(name))
    assert not ClientKeys(keys.directory).is_known(alice.public_key)


def test_a_server_whose_clients_are_missing_says_so(keys, caplog):
    assert ClientKeys(keys.directory).permissions() == {"local": FULL_ACCESS}
    assert "holds no client keys, so no client can connect over TCP" in caplog.text


def test_the_user_id_of_socket_files_is_no_key(keys):
    assert "local" in ClientKeys(keys.directory).permissions()
    assert not ClientKeys(keys.directory).is_known("")


def test_a_directory_without_keys_says_how_to_make_them(tmp_path):
    with pytest.raises(UsageError) as caught:
        server_secret(tmp_path)
    assert str(caught.value) == (
        f"there is no {tmp_path}/server.key_secret; make the server's keys with `elevator keygen {tmp_path}`"
    )


def test_a_server_s_secret_that_others_can_read_is_refused(keys):
    os.chmod(keys.directory / "server.key_secret", 0o640)
    with pytest.raises(UsageError, match=r"others can use it \(mode 0640\); run: chmod 600 "):
        ClientAuth.from_directory(keys.directory)
