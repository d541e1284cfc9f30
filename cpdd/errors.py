"""The root of every error that cpdd raises on purpose."""


class CpddError(Exception):
    """Something cpdd can name: subclasses keep the facts as attributes and compose the sentence from them."""
