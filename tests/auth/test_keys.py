"""elevator keygen: pairs that pyzmq reads, for their owner alone, and never over others."""

import os
import stat

import pytest
import zmq.auth
from click.testing import CliRunner

from pyelevator.auth.keys import generate_keys
from pyelevator.cli.main import elevator
from pyelevator.errors import UsageError
from pyelevator.transports.curve import KeyPair


@pytest.fixture
def keygen():
    """Runs the command; its exit code, stdout and stderr."""

    def run(*args):
        result = CliRunner().invoke(elevator, ["keygen", *map(str, args)])
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_it_writes_a_server_s_pair_and_a_directory_for_clients(keygen, tmp_path):
    code, out, err = keygen(tmp_path / "keys")
    assert (code, err) == (0, "")
    assert sorted(os.listdir(tmp_path / "keys")) == ["clients", "server.key", "server.key_secret"]
    assert out == (tmp_path / "keys" / "server.key").read_text().split('"')[1] + "\n"


def test_a_client_s_pair_has_its_name_and_nothing_beside_it(keygen, tmp_path):
    keygen(tmp_path / "mine", "--name", "alice")
    assert sorted(os.listdir(tmp_path / "mine")) == ["alice.key", "alice.key_secret"]


def test_pyzmq_reads_what_it_writes(keygen, tmp_path):
    _, out, _ = keygen(tmp_path)
    public, none = zmq.auth.load_certificate(tmp_path / "server.key")
    both = zmq.auth.load_certificate(tmp_path / "server.key_secret")
    assert (public, none) == (out.strip().encode(), None)
    assert both == (public, KeyPair.read(tmp_path / "server.key_secret").secret_key.encode())


def test_what_pyzmq_writes_is_read(tmp_path):
    public, secret = zmq.auth.create_certificates(tmp_path, "theirs", {"who": "them"})
    os.chmod(secret, 0o600)
    assert KeyPair.read(secret).public_key == zmq.auth.load_certificate(public)[0].decode()


def test_the_secret_is_for_its_owner_alone_whatever_the_umask(umask, tmp_path):
    generate_keys(tmp_path / "keys")
    assert mode(tmp_path / "keys" / "server.key_secret") == 0o600
    assert mode(tmp_path / "keys") & 0o077 == 0
    assert mode(tmp_path / "keys" / "clients") & 0o077 == 0


def test_the_secret_is_printed_nowhere(keygen, tmp_path):
    code, out, err = keygen(tmp_path)
    assert KeyPair.read(tmp_path / "server.key_secret").secret_key not in out + err
    assert code == 0


@pytest.mark.parametrize("gone", ["server.key", "server.key_secret", None])
def test_keys_that_are_there_are_not_replaced_in_part_or_whole(keygen, tmp_path, gone):
    keygen(tmp_path)
    if gone:
        (tmp_path / gone).unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.glob("server.*")}
    code, out, err = keygen(tmp_path)
    assert (code, out) == (2, "")
    assert "exists; what uses that key would be locked out; to replace it, add --force" in err
    assert {path.name: path.read_bytes() for path in tmp_path.glob("server.*")} == before


def test_force_replaces_them(keygen, tmp_path):
    _, first, _ = keygen(tmp_path)
    code, second, _ = keygen(tmp_path, "--force")
    assert code == 0
    assert first != second
    assert KeyPair.read(tmp_path / "server.key_secret").public_key == second.strip()


def test_force_neither_keeps_a_loose_mode_nor_writes_through_a_link(keygen, tmp_path):
    keygen(tmp_path)
    os.chmod(tmp_path / "server.key_secret", 0o644)
    keygen(tmp_path, "--force")
    assert mode(tmp_path / "server.key_secret") == 0o600
    (tmp_path / "elsewhere").write_text("untouched")
    (tmp_path / "server.key_secret").unlink()
    (tmp_path / "server.key_secret").symlink_to(tmp_path / "elsewhere")
    keygen(tmp_path, "--force")
    assert (tmp_path / "elsewhere").read_text() == "untouched"


def test_a_dangling_link_is_not_written_through(tmp_path):
    (tmp_path / "server.key_secret").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="exists"):
        generate_keys(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["", ".", "../alice", "a/b", "*", "local", "a b", "-x", ".hidden", "x\0"])
def test_what_is_no_name_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="no name for a key"):
        generate_keys(tmp_path, name)
    assert os.listdir(tmp_path) == []


def test_a_directory_that_cannot_be_written_is_one_line(keygen, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = keygen(tmp_path / "file")
    assert (code, out, err) == (1, "", f"elevator: {tmp_path}/file: File exists\n")
