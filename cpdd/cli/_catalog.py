"""The catalog that a setting names, read from its file."""

from pathlib import Path

from collector.core.catalog import Catalog, CatalogError, read_catalog


def load_catalog(name: str) -> Catalog:
    """Return the catalog in the file of this name, an empty one for "".

    Raises:
        CatalogError: the file cannot be read, or says something that cannot be used.
    """
    if not name:
        return Catalog()
    try:
        text = Path(name).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"the catalog cannot be read: {error}", f"catalog {name}") from None
    return read_catalog(text, name)
