"""A line of code to the web address where it can be read, at the commit that was running. Pure.

All of it was brought by spans, so nothing is taken on trust: only http and https, a host that is one, no credentials,
and every part percent-encoded. What cannot be linked honestly has no link.
"""

import re
from urllib.parse import quote, unquote, urlsplit

from collector.core.code import CodePlace, SourceTree, path_in_tree
from cpdd.vcs import public_url

MAX_LENGTH = 2_000
_FORMS = {
    "github": "{url}/blob/{revision}/{path}#L{line}",
    "gitlab": "{url}/-/blob/{revision}/{path}#L{line}",
    "bitbucket": "{url}/src/{revision}/{path}#lines-{line}",
    "gitea": "{url}/src/commit/{revision}/{path}#L{line}",
    "forgejo": "{url}/src/commit/{revision}/{path}#L{line}",
}
"""How forges spell the address of a line."""
_HOSTS = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
    "codeberg.org": "forgejo",
}
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}")


def source_link(place: CodePlace | None, tree: SourceTree, template: str = "") -> str:
    """Return the address of a line, "" where there is none.

    >>> bank = CodePlace("/app/shop/bank.py", 48, "shop.bank.pay")
    >>> source_link(bank, SourceTree("/app", "https://github.com/shop/payment", "0af7651"))
    'https://github.com/shop/payment/blob/0af7651/shop/bank.py#L48'

    Args:
        template: of the setting `source_link`, for forges that are not known; it comes before what is known.
    """
    if place is None or not _REVISION.fullmatch(tree.revision):
        return ""
    path = path_in_tree(place.path, tree.root)
    url = repository_address(tree.repository_url)
    form = template or _form(url, tree.provider)
    if not path or not form or ("{url}" in form and not url):
        return ""
    said = {
        "url": url,
        "repository": urlsplit(url).path.lstrip("/"),
        "revision": quote(tree.revision, safe=""),
        "path": quote(path, safe="/", errors="replace"),
        "line": str(place.line),
        "function": quote(place.function, safe="", errors="replace"),
    }
    if not place.line:
        form = form.partition("#")[0]
    address = re.sub(r"\{(\w+)\}", lambda match: said.get(match[1], ""), form)
    return address if len(address) <= MAX_LENGTH else ""


def repository_address(remote: str) -> str:
    """Return the web address of a repository, "" for what has none.

    >>> repository_address("git@gitlab.com:shop/payment.git")
    'https://gitlab.com/shop/payment'
    >>> repository_address('https://x.example/"onclick=1?a#b')
    'https://x.example/%22onclick%3D1'
    """
    try:
        parts = urlsplit(public_url(remote))
    except ValueError:
        return ""
    path = unquote(parts.path).strip("/")
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.netloc) or {".", ".."} & set(path.split("/")):
        return ""
    return f"{parts.scheme}://{parts.netloc}/{quote(path, safe='/~', errors='replace')}"


def _form(url: str, provider: str) -> str:
    """The spelling of the forge that a repository lies on: as the resource says, else by its host's name."""
    host = urlsplit(url).hostname or ""
    first = host.partition(".")[0]
    name = provider if provider in _FORMS else _HOSTS.get(host, first if first in _FORMS else "")
    return _FORMS.get(name, "")
