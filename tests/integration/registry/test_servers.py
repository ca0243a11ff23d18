"""The server of the tests, as they need it: it ends at once and comes back with what was committed."""

import psycopg
import pytest

from tests.integration.registry.servers import postgresql_or_skip

pytestmark = [pytest.mark.postgres]


def test_a_server_that_crashed_comes_back_with_what_was_committed_and_nothing_else(in_ci: bool):
    with postgresql_or_skip(in_ci) as server:
        server.run("CREATE TABLE kept (number int)")
        server.run("INSERT INTO kept VALUES (7)")
        with psycopg.connect(server.url("postgres")) as connection:
            connection.execute("INSERT INTO kept VALUES (8)")
            server.crash()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
            server.start()
        with psycopg.connect(server.url("postgres")) as connection:
            assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]
        url = server.url("postgres")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
