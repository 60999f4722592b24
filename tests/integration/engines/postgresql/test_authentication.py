"""Certificates and passwords: a PostgreSQL that takes nothing but TLS and SCRAM, with an authority made by the test."""

import logging
import os
import shutil
import subprocess

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import EngineUnavailable
from support.postgresql import UNPRIVILEGED, PostgreSql

PASSWORD = "s3cret-of-the-role"
_RULES = """\
host    all postgres 127.0.0.1/32 trust
hostssl all elevator 127.0.0.1/32 scram-sha-256
"""


def openssl(*args, cwd):
    subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=cwd)


def make_authority(directory, name):
    """Make a key and a certificate that can sign others."""
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem", cwd=directory,
    )  # fmt: skip


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A directory with an authority, another one, and the key and certificate of a server, db.example."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    directory = tmp_path_factory.mktemp("authority")
    make_authority(directory, "authority")
    make_authority(directory, "another")
    openssl(
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=db.example",
        "-keyout", "server.key", "-out", "server.csr", cwd=directory,
    )  # fmt: skip
    (directory / "names").write_text("subjectAltName=DNS:db.example\n")
    openssl(
        "x509", "-req", "-in", "server.csr", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
        "-days", "2", "-extfile", "names", "-out", "server.pem", cwd=directory,
    )  # fmt: skip
    return directory


@pytest.fixture(scope="module")
def secured(authority):
    """A PostgreSQL with TLS, and a role that has a password."""
    with PostgreSql() as server:
        for name in ("server.key", "server.pem"):
            shutil.copy(authority / name, server.data)
            (server.data / name).chmod(0o600)
            if os.geteuid() == 0:
                os.chown(server.data / name, UNPRIVILEGED, UNPRIVILEGED)
        server.execute(f"ALTER ROLE elevator PASSWORD '{PASSWORD}'; CREATE SCHEMA elevator AUTHORIZATION elevator")
        for setting in ("ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'", "ssl = on"):
            server.execute(f"ALTER SYSTEM SET {setting}")
        (server.data / "pg_hba.conf").write_text(_RULES)
        server.execute("SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def url_with(secured, authority):
    """Return a function that makes a URL of db.example; further parameters replace those that are right."""

    def make(host="db.example", **parameters):
        given = {
            "hostaddr": "127.0.0.1",
            "sslmode": "verify-full",
            "sslrootcert": authority / "authority.pem",
            "call_timeout": 1.5,
            **parameters,
        }
        words = "&".join(f"{name}={value}" for name, value in given.items() if value is not None)
        return f"postgresql://elevator@{host}:{secured.port}/postgres?{words}"

    return make


def use(open_storage, url):
    engine = open_storage(url).open("db", {})
    engine.write([(PUT, b"k", b"v")])
    assert engine.get(b"k") == b"v"


def refused(open_storage, url, caplog):
    """Return what is logged when a cluster cannot be used; the error for clients says nothing of it."""
    with caplog.at_level(logging.WARNING), pytest.raises(EngineUnavailable) as caught:
        open_storage(url).exists("db")
    assert str(caught.value) == "the database could not be reached in time; nothing was done"
    assert PASSWORD not in caplog.text
    return caplog.text


def test_certificates_are_verified_and_the_connection_is_encrypted(secured, url_with, open_storage, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    use(open_storage, url_with())
    encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'elevator'"
    assert secured.execute(encrypted) == "t"


def test_a_certificate_of_another_authority_is_refused(url_with, authority, open_storage, monkeypatch, caplog):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    text = refused(open_storage, url_with(sslrootcert=authority / "another.pem"), caplog)
    assert "certificate verify failed" in text


def test_a_certificate_for_another_host_is_refused(url_with, open_storage, monkeypatch, caplog):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    text = refused(open_storage, url_with("other.example"), caplog)
    assert 'server certificate for "db.example" does not match host name "other.example"' in text


def test_without_tls_the_server_refuses(url_with, open_storage, monkeypatch, caplog):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert "no encryption" in refused(open_storage, url_with(sslmode="disable", sslrootcert=None), caplog)


def test_a_wrong_password_is_refused_and_none_is_logged(url_with, open_storage, monkeypatch, caplog):
    monkeypatch.setenv("PGPASSWORD", "wrong-" + PASSWORD)
    assert "password authentication failed" in refused(open_storage, url_with(), caplog)


@pytest.mark.parametrize("place", ["PGPASSFILE", "passfile", "~/.pgpass"])
def test_a_file_has_the_password(url_with, open_storage, monkeypatch, tmp_path, place):
    file = tmp_path / ".pgpass"
    file.write_text(f"db.example:*:postgres:elevator:{PASSWORD}\n")
    file.chmod(0o600)
    if place == "PGPASSFILE":
        monkeypatch.setenv("PGPASSFILE", str(file))
    if place == "~/.pgpass":
        monkeypatch.setenv("HOME", str(tmp_path))
    use(open_storage, url_with(passfile=file if place == "passfile" else None))


def test_a_password_file_that_others_may_read_is_not_used(url_with, open_storage, tmp_path, caplog):
    file = tmp_path / "pgpass"
    file.write_text(f"*:*:*:*:{PASSWORD}\n")
    file.chmod(0o644)
    assert "no password supplied" in refused(open_storage, url_with(passfile=file), caplog)


def test_a_service_names_the_server_and_has_the_password(secured, authority, open_storage, monkeypatch, tmp_path):
    (tmp_path / "services").write_text(
        f"[prod]\nhost=db.example,db.example\nhostaddr=127.0.0.1,127.0.0.1\nport={secured.port},1\nuser=elevator\n"
        f"dbname=postgres\npassword={PASSWORD}\nsslmode=verify-full\nsslrootcert={authority / 'authority.pem'}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    use(open_storage, "postgresql:///?service=prod")
