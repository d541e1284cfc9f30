"""What the shop sells. One list, so that every service means the same mug."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    sku: str
    name: str
    price_cents: int


PRODUCTS = tuple(
    Product(f"{thing}-{colour}", f"{colour} {thing}", 490 + 130 * i)
    for i, (thing, colour) in enumerate(
        (thing, colour) for thing in ("mug", "teapot", "lamp", "chair", "rug") for colour in ("red", "blue", "grey")
    )
)
BY_SKU = {product.sku: product for product in PRODUCTS}
BESTSELLERS = PRODUCTS[:3]
