"""Pricing: what things cost today, and who gets a discount."""

import flask

import cpdd

from .goods import BY_SKU
from .service import Switches, run, work
from .web import WebListener, install

cpdd.init(service="pricing")
app = flask.Flask("pricing")


@app.get("/prices")
def prices() -> dict[str, int]:
    work(4)
    skus = [sku for sku in flask.request.args.get("skus", "").split(",") if sku in BY_SKU]
    return {sku: BY_SKU[sku].price_cents for sku in skus}


@app.post("/discounts")
def discount() -> dict[str, int]:
    work(6)
    order = flask.request.get_json()
    return {"amount_cents": order["total_cents"] // 20}


if __name__ == "__main__":
    switches = Switches()
    install(switches, app)
    run("pricing", switches, WebListener("pricing", app))
