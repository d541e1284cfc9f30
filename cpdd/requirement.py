"""Whether a call is mandatory: as declared in the context, and as hinted to the callee in tracestate. Values only.

The hint is the *effective* requirement. What is called on behalf of an optional call is optional for the journey,
however mandatory it is for its own caller: optional once, optional below.
"""

from dataclasses import dataclass

from opentelemetry.context import Context, create_key, get_value, set_value

from cpdd.names import Requirement

MAX_HINT_CHARS = 32

_DECLARED = create_key("cpdd-declared")
_LETTERS: dict[Requirement, str] = {"mandatory": "m", "optional": "o"}


@dataclass(frozen=True, slots=True)
class Declared:
    """What the marks around the current code say of the calls it makes."""

    requirement: Requirement
    effective: Requirement


def declare(requirement: Requirement, context: Context | None = None) -> Context:
    """Return the context in which calls are declared `requirement`, inside whatever was declared around it."""
    outer = declared(context)
    below_optional = outer is not None and outer.effective == "optional"
    return set_value(_DECLARED, Declared(requirement, "optional" if below_optional else requirement), context)


def declare_again(said: Declared, context: Context) -> Context:
    """Return the context with what another process declared."""
    return set_value(_DECLARED, said, context)


def declared(context: Context | None = None) -> Declared | None:
    """Return what is declared in the context (the current one by default), None where nothing is."""
    value = get_value(_DECLARED, context)
    return value if isinstance(value, Declared) else None


def hint_for_callee(incoming: str, here: Declared | None) -> str:
    """Return the tracestate member to send, from the one that came in and what is declared here; "" for none.

    >>> hint_for_callee("", Declared("mandatory", "mandatory"))
    'r:m'
    >>> hint_for_callee("r:o", Declared("mandatory", "mandatory"))
    'r:o'
    >>> hint_for_callee("x:1;r:m", None)
    'x:1'
    """
    pairs = [pair for pair in incoming.split(";") if pair]
    others = [pair for pair in pairs if not pair.startswith("r:")]
    letter = "o" if "r:o" in pairs else _LETTERS[here.effective] if here else ""
    hint = f"r:{letter}" if letter else ""
    for pair in others:
        longer = f"{hint};{pair}" if hint else pair
        if len(longer) <= MAX_HINT_CHARS:
            hint = longer
    return hint
