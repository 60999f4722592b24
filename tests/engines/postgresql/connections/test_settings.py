"""The URL of a cluster."""

import os

import pytest

pytest.importorskip("psycopg")

from pyelevator.engines.postgresql.connections.settings import PostgreSqlSettings
from pyelevator.errors import UsageError


def endpoints(url):
    return [endpoint.decode() for endpoint in PostgreSqlSettings.from_url(url).endpoints]


def test_parameters_of_our_own_are_read_and_not_passed_to_libpq():
    url = "postgresql://me@db.example:5433/data?schema=other&call_timeout=2.5&pool_size=3&snapshot_pool_size=2"
    settings = PostgreSqlSettings.from_url(f"{url}&sslmode=verify-full")
    assert (settings.schema, settings.call_timeout) == ("other", 2.5)
    assert (settings.pool_size, settings.snapshot_pool_size) == (3, 2)
    (endpoint,) = [one.decode() for one in settings.endpoints]
    assert "host=db.example" in endpoint
    assert "port=5433" in endpoint
    assert "sslmode=verify-full" in endpoint
    assert "schema" not in endpoint


def test_several_hosts_are_asked_one_by_one():
    found = endpoints("postgresql://me@a.example:1,b.example:2/data?target_session_attrs=read-write")
    assert [
        ("host=a.example" in found[0], "port=1" in found[0]),
        ("host=b.example" in found[1], "port=2" in found[1]),
    ] == [(True, True), (True, True)]
    assert not any("target_session_attrs" in one for one in found)


def test_one_port_is_that_of_all_hosts():
    assert all("port=5" in one for one in endpoints("postgresql:///data?host=a,b&port=5"))


def test_hosts_of_the_environment_count_as_well(monkeypatch):
    monkeypatch.setenv("PGHOST", "a.example,b.example")
    assert len(endpoints("postgresql:///data")) == 2


def test_a_service_is_left_to_libpq():
    assert "service=prod" in endpoints("postgresql:///?service=prod")[0]


@pytest.mark.parametrize("is_in_url", [True, False])
def test_the_hosts_of_a_service_are_asked_one_by_one(tmp_path, monkeypatch, is_in_url):
    (tmp_path / "services").write_text("[prod]\nhost=a.example,b.example\nport=1,2\npassword=s3cret\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    if not is_in_url:
        monkeypatch.setenv("PGSERVICE", "prod")
    found = endpoints("postgresql:///data?service=prod" if is_in_url else "postgresql:///data")
    assert [("host=a.example" in found[0], "port=1" in found[0])] == [(True, True)]
    assert [("host=b.example" in found[1], "port=2" in found[1])] == [(True, True)]
    assert os.environ.get("PGSERVICE") == (None if is_in_url else "prod")
    assert not any("s3cret" in one for one in found)


def test_a_password_in_the_url_is_refused_and_not_shown():
    for url in ("postgresql://me:s3cret@db.example/data", "postgresql://db.example/data?password=s3cret"):
        with pytest.raises(UsageError, match="PGPASSWORD") as caught:
            PostgreSqlSettings.from_url(url)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameter", "why"),
    [
        ("schema=no-name", "schema of the engine's URL must be a name"),
        ("schema=a;b", "schema"),
        ("call_timeout=0", "call_timeout of the engine's URL must be a number of seconds"),
        ("call_timeout=nan", "call_timeout"),
        ("pool_size=0", "pool_size of the engine's URL must be a number from 1"),
        ("pool_size=many", "pool_size"),
        ("nothing=1", "not one that PostgreSQL's client library takes"),
    ],
)
def test_wrong_parameters_are_named(parameter, why):
    with pytest.raises(UsageError, match=why):
        PostgreSqlSettings.from_url(f"postgresql://db.example/data?{parameter}")
