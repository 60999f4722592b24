"""PostgreSQL: the public suite, on a real server, as a role that owns nothing but its schema."""

import pytest

from pyelevator.testing.engine_updates import UpdatingEngineConformance


class TestConformance(UpdatingEngineConformance):
    @pytest.fixture
    def storage(self, url, open_storage, postgresql):
        self._url, self._open, self._server = url, open_storage, postgresql
        return open_storage(url)

    def reborn(self, storage):
        return self._open(self._url)

    def damage(self, path):
        schema = self._url.partition("schema=")[2]
        name = self._server.execute(
            f"SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = '{schema}' AND relname LIKE 'pairs%' AND relkind = 'r'"
        )
        self._server.execute(f"DROP TABLE {schema}.{name}")
