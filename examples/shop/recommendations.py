"""Recommendations: what the user might like. A model that takes its time."""

import flask

import cpdd

from .goods import PRODUCTS
from .service import Switches, run, work
from .web import WebListener, install

cpdd.init(service="recommendations")
app = flask.Flask("recommendations")


@app.get("/users/<user>")
def for_user(user: str) -> dict[str, object]:
    work(18)
    start = sum(user.encode()) % len(PRODUCTS)
    return {"skus": [product.sku for product in PRODUCTS[start : start + 3]]}


@app.get("/users/<user>/also-bought")
def also_bought(user: str) -> dict[str, object]:
    work(12)
    return {"skus": [PRODUCTS[-1].sku]}


@app.post("/users/<user>/purchases")
def learn(user: str) -> tuple[str, int]:
    work(10)
    return "", 204


if __name__ == "__main__":
    switches = Switches()
    install(switches, app)
    run("recommendations", switches, WebListener("recommendations", app))
