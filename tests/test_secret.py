"""The secret of hashes is made once and is its owner's alone."""

from pathlib import Path

from collector.secret import FILE, own_secret


def test_the_secret_stays_the_same_and_others_cannot_read_it(tmp_path: Path) -> None:
    first = own_secret(tmp_path)

    assert own_secret(tmp_path) == first
    assert len(first) == 64
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
