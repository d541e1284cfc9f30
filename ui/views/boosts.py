"""What takes boosts, as pages see it."""

from collections.abc import Sequence
from typing import Protocol

from collector.control.guard import Caller, Forbidden
from collector.control.requests import BoostRequest, Renewal
from collector.control.service import Boosted
from collector.core.sampling.roots import Root


class Boosts(Protocol):
    """`collector.control.run.Control` is the real one."""

    @property
    def longest_boost_s(self) -> float: ...

    @property
    def needs_token(self) -> bool:
        """Whether a change must bring the token of the server."""

    def admit(self, caller: Caller) -> None: ...

    def refusal_of_all_from(self, peer: str) -> Forbidden | None:
        """Return why nobody at an address may change anything; None where who brings what is asked for may."""

    def roots_of(self, request: BoostRequest) -> tuple[Sequence[Root], bool]: ...

    def doubt(self, request: BoostRequest) -> str:
        """Return what is odd about the operation of a request, "" for nothing."""

    def boost(self, request: BoostRequest) -> Boosted: ...

    def renew_boost(self, boost_id: str, renewal: Renewal, repeat: bool) -> Boosted: ...

    def end_boost(self, boost_id: str, author: str, reason: str) -> int: ...
