"""Worker of the ETL pipeline: extracts CSV files and loads a table of SQLite.

`python worker.py` serves the tasks, `python worker.py report` prints the table.
"""

import csv
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from flowmesh.sdk import Worker

DATA = Path(__file__).with_name("data")
DATABASE = Path(__file__).with_name("sales.db")
TABLE = "create table if not exists revenue (day text, country text, amount real)"

worker = Worker()


@worker.task("extract-csv")
def extract(input: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a file. A plain function runs in a thread of the worker."""
    with (DATA / input["file"]).open(newline="") as file:
        return list(csv.DictReader(file))


@worker.task("load-revenue")
def load(input: dict[str, Any]) -> dict[str, Any]:
    """Replace the rows of the day in one transaction, so that a retry cannot double them."""
    day, revenue = input["day"], input["revenue"]
    rows = [(day, country, amount) for country, amount in sorted(revenue.items())]
    with closing(sqlite3.connect(DATABASE)) as connection, connection:
        connection.execute(TABLE)
        connection.execute("delete from revenue where day = ?", [day])
        connection.executemany("insert into revenue values (?, ?, ?)", rows)
    return {"rows": len(rows)}


def report() -> None:
    with closing(sqlite3.connect(DATABASE)) as connection:
        for day, country, amount in connection.execute("select * from revenue"):
            print(f"{day} {country} {amount:.2f}")


if __name__ == "__main__":
    report() if sys.argv[1:] == ["report"] else worker.run()
