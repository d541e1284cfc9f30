"""The types that users see, and that `import cpdd` has names for all it says."""

import subprocess
import sys
from pathlib import Path

import pytest

USER = Path(__file__).parents[1] / "typing_api.py"


@pytest.mark.slow
def test_a_user_of_the_public_names_is_type_checked(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed: pip install 'cpdd[dev]'")

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(USER)],
        cwd=USER.parents[1],
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stdout
