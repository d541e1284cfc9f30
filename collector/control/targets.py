"""What a boost would be of: the root operations that lead to what was asked for, or a doubt that it is there at all."""

from concurrent.futures import Executor
from difflib import get_close_matches
from typing import Protocol

from collector.control.requests import BoostRequest
from collector.control.store_work import outside
from collector.core.sampling.fleet import Fleet
from collector.core.sampling.roots import Root
from cpdd.errors import CpddError

MAX_TARGETS = 50


class Roots(Protocol):
    """Who knows which root operations reach another; `collector.store.roots.RootFinder` is the real one."""

    def find(self, service: str, operation: str = "", below: str = "") -> list[Root]: ...

    def operations(self, service: str) -> list[str]: ...


class NoRoots(CpddError):
    """Nobody knows what would have to be boosted."""

    def __init__(self, what: str, doubt: str = "") -> None:
        """Args: doubt: what may be wrong with the name."""
        self.what = what
        hint = doubt or "traces of it must have been collected; name a root operation, or boost from here down"
        super().__init__(f"no root operation is known that reaches {what}\nhint: {hint}")


class TooManyRoots(CpddError):
    """An operation that so much leads to that a boost of it is a boost of everything."""

    def __init__(self, what: str, found: int) -> None:
        self.found = found
        super().__init__(
            f"{found} root operations reach {what}, over the limit of {MAX_TARGETS}\n"
            "hint: name the root operation that you look at, or boost from here down"
        )


class Targets:
    """Found in what the store and clients have told. Lives in the loop thread."""

    def __init__(self, roots: Roots, fleet: Fleet, workers: Executor) -> None:
        self._roots = roots
        self._fleet = fleet
        self._workers = workers

    async def of(self, request: BoostRequest) -> tuple[list[Root], bool]:
        """Return what has to be boosted, and whether the store named it. Raises NoRoots, TooManyRoots."""
        asked = Root(request.service, request.operation)
        if request.here:
            return [asked], False
        roots = await outside(
            self._workers, lambda: self._roots.find(request.service, request.operation, request.caller)
        )
        own = [root for root in roots if root.service == request.service and request.operation in ("", root.operation)]
        if not request.caller and (own or not roots):
            # it begins traces itself, or nobody has seen it yet: the sampler of that service decides
            others = [root for root in roots if root not in own] if request.operation else []
            targets = [asked, *others]
        else:
            targets = roots
        what = " ".join(part for part in (request.service, request.operation) if part)
        what += f" from {request.caller}" if request.caller else ""
        if not targets:
            raise NoRoots(what, await self.doubt(request))
        if len(targets) > MAX_TARGETS:
            raise TooManyRoots(what, len(targets))
        return targets, targets != [asked]

    async def doubt(self, request: BoostRequest) -> str:
        """Return what is odd about the operation of a request: nobody has heard of it, though of others."""
        service, operation = request.service, request.operation
        if not operation or operation in self._fleet.operations(service):
            return ""
        known = set(self._fleet.operations(service))
        known.update(await outside(self._workers, lambda: self._roots.operations(service)))
        if not known or operation in known:
            return ""
        near = get_close_matches(operation, sorted(known), n=3, cutoff=0.4) or sorted(known)[:3]
        more = " and others" if len(known) > len(near) else ""
        return f"{service} has not been seen to have {operation!r}; it has {', '.join(map(repr, near))}{more}"
