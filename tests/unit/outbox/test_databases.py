"""The file of the databases of users."""

from pathlib import Path

import pytest

from flowmesh.outbox import UserDatabase, user_databases

URL = "postgresql://flowmesh@db.example/orders"


def test_a_file_names_databases(tmp_path: Path) -> None:
    """With defaults; no path is no database."""
    file = tmp_path / "databases.toml"
    file.write_text(
        f'[orders]\nurl = "{URL}"\noutbox = true\nnamespaces = ["shop", "web"]\n[other]\n'
    )
    assert user_databases(str(file)) == {
        "orders": UserDatabase("orders", URL, outbox=True, namespaces=frozenset({"shop", "web"})),
        "other": UserDatabase("other", ""),
    }
    assert user_databases("") == {}
    assert "db.example" not in repr(user_databases(str(file)))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("orders = 5", r"\[orders\]: a database is a table with a url"),
        ("[orders]\noutbox = true", r"\[orders\]: an outbox needs a url"),
        ('[orders]\nchanges = true\nurl = "mysql://db"', "changes need a url that begins with"),
        ('[orders]\noutbox = "yes"', "outbox is true or false"),
        ("[orders]\nchanges = 1", "changes is true or false"),
        ('[orders]\nnamespaces = "shop"', "namespaces is a list of names"),
        ("[orders]\nnamespaces = [1]", "namespaces is a list of names"),
        ("[orders", "databases.toml: "),
        (b"\xff", "databases.toml: "),
        (None, "No such file"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(
    tmp_path: Path, text: str | bytes | None, problem: str
) -> None:
    """Of the database, or of the file."""
    file = tmp_path / "databases.toml"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=problem):
        user_databases(str(file))
