"""Patterns of `cpdd.toml`, in which `*` stands for any text. Pure."""

import fnmatch


def is_like(pattern: str, text: str) -> bool:
    """Tell whether a text fits a pattern: `*` alone is special, fnmatch's other signs are text."""
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]"))
