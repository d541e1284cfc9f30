"""Which line of code a span comes from, and whose it is: the service's own, a library's, or that of whom it called.

Pure; called by the pages and the escalation packet. The rules are in docs/explanation/whose-time.md.
"""

from dataclasses import dataclass

from collector.core.detail import Attributes
from collector.core.spans import KIND_CLIENT, KIND_CONSUMER, KIND_PRODUCER, KIND_SERVER, AttributeValue
from cpdd.names import SOURCE_ROOT

OURS, LIBRARY, DEPENDENCY, UNKNOWN = "ours", "library", "dependency", "unknown"
WHOSE = (OURS, LIBRARY, DEPENDENCY, UNKNOWN)

LIBRARY_FOLDERS = frozenset(
    {
        "site-packages",
        "dist-packages",
        "node_modules",
        "bower_components",
        "vendor",
        "third_party",
        "gems",
        ".m2",
        ".cargo",
    }
)
"""Folders of other people's code, wherever they lie."""
_GO_MODULES = "/pkg/mod/"
INSTRUMENTATIONS = (
    "opentelemetry.instrumentation.",
    "io.opentelemetry.",
    "@opentelemetry/instrumentation",
    "go.opentelemetry.io/contrib/",
    "OpenTelemetry.Instrumentation.",
    "OpenTelemetry::Instrumentation",
    "io.micrometer.",
    "Microsoft.AspNetCore",
    "System.Net.",
)
"""How names of scopes begin that belong to an instrumentation of a library."""
MAX_LINE = 10_000_000


@dataclass(frozen=True, slots=True)
class CodePlace:
    """A line, as far as a span says: `line` is 0 where it does not."""

    path: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class SourceTree:
    """Where the code of a service comes from; empty texts where its resource does not say."""

    root: str = ""
    """The folder, on the machine of the service, that holds its own code."""
    repository_url: str = ""
    revision: str = ""
    provider: str = ""
    """`vcs.provider.name`: github, gitlab, gitea, bitbucket."""


def code_place(attributes: Attributes) -> CodePlace | None:
    """Return the place that `code.*` names, in today's or yesterday's spelling; None where it names none."""
    said = dict(attributes)
    path = _text(said, "code.file.path", "code.filepath")
    function = _text(said, "code.function.name", "code.function")
    namespace = _text(said, "code.namespace")
    if namespace and function and not function.startswith(f"{namespace}."):
        function = f"{namespace}.{function}"
    if not path and not function:
        return None
    return CodePlace(path, _line(said.get("code.line.number", said.get("code.lineno"))), function)


def source_tree(resource: Attributes) -> SourceTree:
    """Return what a resource says of its service's code."""
    said = dict(resource)
    return SourceTree(
        root=_text(said, SOURCE_ROOT),
        repository_url=_text(said, "vcs.repository.url.full"),
        revision=_text(said, "vcs.ref.head.revision"),
        provider=_text(said, "vcs.provider.name").lower(),
    )


def path_in_tree(path: str, root: str) -> str:
    """Return the path from the root of its tree, "" where it lies elsewhere or the root is not known.

    >>> path_in_tree("/app/shop/bank.py", "/app"), path_in_tree("/usr/lib/x.py", "/app"), path_in_tree("src/a.go", "")
    ('shop/bank.py', '', 'src/a.go')
    """
    path, root = path.replace("\\", "/"), root.replace("\\", "/").rstrip("/")
    inside = path[len(root) + 1 :] if root and path.startswith(f"{root}/") else "" if _is_absolute(path) else path
    parts = inside.removeprefix("./").split("/")
    return "" if "" in parts or "." in parts or ".." in parts else "/".join(parts)


def whose(kind: int, place: CodePlace | None, root: str, scope: str) -> str:
    """Return to whom the own time of a span, or an error that begins in it, belongs: one of WHOSE.

    Args:
        kind: of the span, as in OTLP.
        root: folder of the service's own code, "" where it is not known.
        scope: name of the instrumentation scope.
    """
    if kind in (KIND_CLIENT, KIND_PRODUCER):
        return DEPENDENCY
    if place is not None and place.path:
        return OURS if _is_own(place.path, root) else LIBRARY
    if kind in (KIND_SERVER, KIND_CONSUMER):
        return OURS  # what a framework's span has for itself is the time of the handler that it called
    if not scope:
        return UNKNOWN
    return LIBRARY if scope.startswith(INSTRUMENTATIONS) else OURS


def _is_own(path: str, root: str) -> bool:
    normal = path.replace("\\", "/")
    if LIBRARY_FOLDERS & set(normal.split("/")[:-1]) or _GO_MODULES in normal:
        return False
    return not root or bool(path_in_tree(path, root))


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or path[1:3] == ":/"


def _text(said: dict[str, AttributeValue], *keys: str) -> str:
    values = (said.get(key) for key in keys)
    return next((value for value in values if isinstance(value, str) and value), "")


def _line(value: AttributeValue) -> int:
    """A line number; Zipkin and Jaeger have it as text."""
    if isinstance(value, str) and len(value) < 9 and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < MAX_LINE else 0
