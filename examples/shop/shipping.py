"""Shipping: what it costs to bring the things home."""

import flask

import cpdd

from .service import Switches, run, work
from .web import WebListener, install

cpdd.init(service="shipping")
app = flask.Flask("shipping")


@app.get("/estimates")
def estimate() -> dict[str, int]:
    work(5)
    return {"price_cents": 490}


@app.post("/quotes")
def quote() -> dict[str, int]:
    work(14)
    return {"price_cents": 390 + 50 * len(flask.request.get_json()["skus"])}


if __name__ == "__main__":
    switches = Switches()
    install(switches, app)
    run("shipping", switches, WebListener("shipping", app))
