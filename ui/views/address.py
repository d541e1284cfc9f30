"""Addresses of the pages: the only place that knows how they are spelled."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, urlencode

Parameters = Mapping[str, str]
Choices = Mapping[str, str | Sequence[str]]
"""Parameters of which some may be there several times."""
NONE: Parameters = MappingProxyType({})


LONGEST_NAME = 2_000
"""Characters of a name in an address; a percent-encoded one may be nine times as long."""


def journeys_address(parameters: Parameters = NONE) -> str:
    return _with("/", parameters)


def journey_address(journey: str, parameters: Choices = NONE, open: Sequence[str] = ()) -> str:
    """Return a journey's page; `open` names the services that its graph shows with their operations.

    Names that a path cannot carry (`.` and `..`, which browsers resolve; an end in `.json`, which asks for the page's
    twin) travel in the query instead. A name that no address can hold has none: "".
    """
    if not is_addressable(journey):
        return ""
    if journey in (".", "..") or journey.endswith(".json") or "\\" in journey or "\x00" in journey:
        return _with("/journeys/", {"name": journey, **parameters}, open)
    return _with(f"/journeys/{quote(journey, safe='', errors='replace')}", parameters, open)


def is_addressable(name: str) -> bool:
    """Tell whether a name fits into an address that browsers and servers take."""
    return len(name) <= LONGEST_NAME


def trace_address(trace_id: str, parameters: Parameters = NONE) -> str:
    return _with(f"/traces/{quote(trace_id, safe='', errors='replace')}", parameters)


def rows_address(trace_id: str, parameters: Parameters = NONE) -> str:
    return _with(f"/traces/{quote(trace_id, safe='', errors='replace')}/rows", parameters)


def trace_pair_address(trace_id: str, parameters: Parameters = NONE) -> str:
    return _with(f"/traces/{quote(trace_id, safe='', errors='replace')}/compare", parameters)


def findings_address(parameters: Parameters = NONE) -> str:
    return _with("/findings", parameters)


def search_address(parameters: Choices = NONE) -> str:
    return _with("/search", parameters)


def examples_address(parameters: Parameters = NONE) -> str:
    return _with("/examples", parameters)


def compare_address(parameters: Parameters = NONE) -> str:
    return _with("/compare", parameters)


def contracts_address(parameters: Parameters = NONE) -> str:
    return _with("/contracts", parameters)


def what_if_address(parameters: Choices = NONE) -> str:
    return _with("/what-if", parameters)


def boost_address(service: str, operation: str = "", caller: str = "", reason: str = "") -> str:
    """Return the page that asks whether to boost something; "" for a name that no address can hold."""
    if not (service and is_addressable(service) and is_addressable(operation)):
        return ""
    asked = {"service": service, "operation": operation, "caller": caller, "reason": reason[:200]}
    return _with("/sampling/boost", asked)


def services_address(parameters: Parameters = NONE) -> str:
    return _with("/services", parameters)


def service_address(service: str, parameters: Parameters = NONE) -> str:
    """Return a service's page; "" for a name that no address can hold. Names travel as journeys' do."""
    of_journey = journey_address(service, parameters)
    return of_journey.replace("/journeys/", "/services/", 1)


def local(address: str) -> str:
    """Return an absolute address of ours as pages link to it.

    >>> local("http://127.0.0.1:16686/traces/1?span=2")
    '/traces/1?span=2'
    """
    return "/" + address.partition("://")[2].partition("/")[2]


def json_address(address: str) -> str:
    """Return the `.json` twin of a page's address."""
    path, mark, query = address.partition("?")
    return f"{path}.json{mark}{query}"


def fields(choices: Choices) -> list[tuple[str, str]]:
    """Return what a form has to send so that these stay: a name and a value each; what is empty is not there.

    >>> fields({"q": "", "tag": ("a=1", "b=2")})
    [('tag', 'a=1'), ('tag', 'b=2')]
    """
    lists = ((name, [said] if isinstance(said, str) else said) for name, said in choices.items())
    return [(name, value) for name, values in lists for value in values if value]


def fields_of(address: str) -> list[tuple[str, str]]:
    """Return what an address of ours asks for, which a form loses that is sent by GET.

    >>> fields_of("/journeys/?name=..")
    [('name', '..')]
    """
    return parse_qsl(address.partition("?")[2])


def _with(path: str, parameters: Choices, open: Sequence[str] = ()) -> str:
    pairs = [*fields(parameters), *(("open", name) for name in open)]
    return f"{path}?{urlencode(pairs, errors='replace')}" if pairs else path
