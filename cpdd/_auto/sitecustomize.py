"""What `cpdd run` puts in front of a program: Python imports this module before the program's first line."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

_HERE = Path(__file__).absolute().parent


def _run_the_other() -> None:
    """Run the `sitecustomize` that this one hides, as Python would have."""
    elsewhere = [place for place in sys.path if Path(place or ".").absolute() != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def _trace() -> None:
    """Start tracing. A Python of another environment may not have cpdd: the program runs all the same."""
    try:
        import cpdd  # noqa: PLC0415  what may be missing

        cpdd.init()
    except Exception as error:
        print(f"cpdd run: not traced, {sys.executable} cannot use cpdd: {error}", file=sys.stderr)


_run_the_other()
_trace()
