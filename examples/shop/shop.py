"""The shop itself: what users see. It names the journeys and says which of its calls matter.

What it says is not always true, as in any program; README.md has what is, and `cpdd` finds it out.
"""

import contextvars
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import flask
import requests

import cpdd

from . import messages
from .directory import url
from .service import Switches, run, work
from .web import TIMEOUT_S, WebListener, client, install

cpdd.init(service="shop")
app = flask.Flask("shop")
http = client()
background = ThreadPoolExecutor(max_workers=16)
order_numbers = itertools.count(1)
DEADLINE_S = float(os.environ.get("SHOP_DEADLINE_S", "0.25"))
"""How long the front page waits for recommendations."""

Json = dict[str, object]


@app.get("/")
@cpdd.journey("browse")
def front_page() -> Json:
    work(2)
    with cpdd.mandatory("product list"):
        products = http.get(f"{url('catalog')}/products", timeout=TIMEOUT_S).json()
    return {"products": products, "recommended": recommended(flask.request.args["user"])}


def bestsellers() -> object:
    return http.get(f"{url('catalog')}/bestsellers", timeout=TIMEOUT_S).json()


@cpdd.optional("recommendations", fallback=bestsellers, fallback_kind="degraded", deadline_s=DEADLINE_S)
def recommended(user: str) -> object:
    return http.get(f"{url('recommendations')}/users/{user}", timeout=TIMEOUT_S).json()


@app.get("/search")
@cpdd.journey("search")
def search() -> Json:
    query = flask.request.args["q"]
    return {"found": http.get(f"{url('catalog')}/search", params={"q": query}, timeout=TIMEOUT_S).json()}


@app.post("/cart")
@cpdd.journey("add to cart")
def add_to_cart() -> tuple[Json, int]:
    user, sku = flask.request.args["user"], flask.request.args["sku"]
    product = http.get(f"{url('catalog')}/products/{sku}", timeout=TIMEOUT_S).json()
    item = {"sku": sku, "price_cents": product["price_cents"]}
    http.post(f"{url('cart')}/carts/{user}/items", json=item, timeout=TIMEOUT_S)
    return item, 201


@app.get("/cart")
@cpdd.journey("view cart")
def view_cart() -> Json:
    user = flask.request.args["user"]
    cart = http.get(f"{url('cart')}/carts/{user}", timeout=TIMEOUT_S).json()
    return {**cart, "shipping": shipping_estimate(), "also_bought": also_bought(user)}


def shipping_estimate() -> object:
    """Declared mandatory; in truth a page without it is shown as well."""
    try:
        with cpdd.mandatory("shipping estimate"):
            return http.get(f"{url('shipping')}/estimates", timeout=TIMEOUT_S).json()
    except requests.RequestException:
        return "from 4.90"


@cpdd.optional("also bought", fallback=list)
def also_bought(user: str) -> object:
    """Optional indeed, and without a deadline: the page waits for it as long as for anything else."""
    return http.get(f"{url('recommendations')}/users/{user}/also-bought", timeout=TIMEOUT_S).json()


@app.post("/checkout")
@cpdd.journey("check out", criticality="critical")
def check_out() -> tuple[Json, int]:
    user = flask.request.args["user"]
    items = http.get(f"{url('cart')}/carts/{user}", timeout=TIMEOUT_S).json()["items"]
    if not items:
        return {"error": "the cart is empty"}, 409
    skus = [item["sku"] for item in items]
    goods_cents = sum(item["price_cents"] for item in items)
    _, shipping, discount = in_parallel(
        lambda: reserve(skus), lambda: shipping_quote(skus), lambda: loyalty_discount(goods_cents)
    )
    total_cents = goods_cents + shipping["price_cents"] - discount["amount_cents"]
    with cpdd.mandatory("charge"):
        http.post(f"{url('payment')}/charges", json={"user": user, "amount_cents": total_cents}, timeout=5.0)
    order: Json = {"order": next(order_numbers), "user": user, "total_cents": total_cents}
    messages.send("orders", order)
    empty_cart(user)
    tell_recommendations(user, skus)
    return order, 201


@cpdd.mandatory("reserve")
def reserve(skus: list[str]) -> Json:
    return dict(http.post(f"{url('stock')}/reservations", json={"skus": skus}, timeout=TIMEOUT_S).json())


def shipping_quote(skus: list[str]) -> Json:
    return dict(http.post(f"{url('shipping')}/quotes", json={"skus": skus}, timeout=TIMEOUT_S).json())


@cpdd.optional("loyalty discount", fallback=dict)
def loyalty_discount(goods_cents: int) -> Json:
    """Declared optional; in truth whoever sums up has no use for an empty answer, and the order fails."""
    return dict(http.post(f"{url('pricing')}/discounts", json={"total_cents": goods_cents}, timeout=TIMEOUT_S).json())


def empty_cart(user: str) -> None:
    """Not declared; in truth optional: a cart that stays full is no reason to lose an order."""
    try:
        http.delete(f"{url('cart')}/carts/{user}", timeout=TIMEOUT_S)
    except requests.RequestException:
        app.logger.warning("the cart of %s stays full", user)


def tell_recommendations(user: str, skus: list[str]) -> None:
    """Nobody waits for this."""
    purchases = f"{url('recommendations')}/users/{user}/purchases"
    with cpdd.optional("purchases") as call:
        background.submit(
            contextvars.copy_context().run, lambda: http.post(purchases, json={"skus": skus}, timeout=TIMEOUT_S)
        )
        call.record("not_awaited")


def in_parallel(*calls: Callable[[], Json]) -> list[Json]:
    """Return what the calls return, in their order; raise what the first that failed raised, once all have ended."""
    futures = [background.submit(contextvars.copy_context().run, call) for call in calls]
    wait(futures)
    return [future.result() for future in futures]


if __name__ == "__main__":
    switches = Switches()
    install(switches, app)
    run("shop", switches, WebListener("shop", app))
