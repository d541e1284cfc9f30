"""Cart: what each user put in, kept in SQLite."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import flask

import cpdd

from .service import Switches, run, work
from .web import WebListener, install

cpdd.init(service="cart")
app = flask.Flask("cart")
DATABASE = Path(os.environ.get("SHOP_DATA", ".")) / "cart.sqlite"


def connect() -> sqlite3.Connection:
    """A connection of the request's own. What is traced is its cursors, so that is what the requests use."""
    return sqlite3.connect(DATABASE, isolation_level=None, timeout=2.0)


@app.get("/carts/<user>")
def cart(user: str) -> dict[str, object]:
    work(2)
    with closing(connect()) as database:
        cursor = database.cursor()
        rows = cursor.execute("SELECT sku, price_cents FROM items WHERE user = ?", (user,)).fetchall()
    return {"items": [{"sku": sku, "price_cents": price} for sku, price in rows]}


@app.post("/carts/<user>/items")
def add(user: str) -> tuple[dict[str, object], int]:
    item = flask.request.get_json()
    work(2)
    with closing(connect()) as database:
        database.cursor().execute("INSERT INTO items VALUES (?, ?, ?)", (user, item["sku"], item["price_cents"]))
    return item, 201


@app.delete("/carts/<user>")
def clear(user: str) -> tuple[str, int]:
    with closing(connect()) as database:
        database.cursor().execute("DELETE FROM items WHERE user = ?", (user,))
    return "", 204


def create_table() -> None:
    with closing(connect()) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE IF NOT EXISTS items (user TEXT, sku TEXT, price_cents INTEGER)")
        database.execute("CREATE INDEX IF NOT EXISTS items_user ON items (user)")


if __name__ == "__main__":
    create_table()
    switches = Switches()
    install(switches, app)
    run("cart", switches, WebListener("cart", app))
