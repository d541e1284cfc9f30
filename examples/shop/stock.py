"""Stock: what the warehouse has, and what it keeps back for an order."""

import itertools

import flask

import cpdd

from .service import Switches, run, work
from .web import WebListener, install

cpdd.init(service="stock")
app = flask.Flask("stock")
numbers = itertools.count(1)


@app.get("/availability")
def availability() -> dict[str, bool]:
    work(7)
    return {sku: not sku.endswith("grey") for sku in flask.request.args.get("skus", "").split(",") if sku}


@app.post("/reservations")
def reserve() -> tuple[dict[str, object], int]:
    work(9)
    return {"reservation": next(numbers), "skus": flask.request.get_json()["skus"]}, 201


if __name__ == "__main__":
    switches = Switches()
    install(switches, app)
    run("stock", switches, WebListener("stock", app))
