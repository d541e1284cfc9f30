"""Commit and repository, read from what git itself writes."""

import os
import subprocess
from pathlib import Path

import pytest

from cpdd.vcs import Checkout, find_checkout, public_url, read_checkout


def git(folder: Path, *arguments: str) -> str:
    """What git answers; nothing of the configuration of whoever runs the tests counts."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main")
    environ = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    git(root, "init", "-q")
    git(root, "remote", "add", "fork", "https://example.org/fork/shop.git")
    git(root, "remote", "add", "origin", "git@example.org:team/shop.git")
    git(root, "commit", "-q", "--allow-empty", "-m", "first")
    return root


def test_a_checkout_says_commit_branch_and_origin(repository):
    revision = git(repository, "rev-parse", "HEAD")

    assert read_checkout(repository) == Checkout(repository, revision, "main", "https://example.org/team/shop")


def test_a_checkout_is_found_from_any_folder_inside(repository):
    inside = repository / "services" / "payment"
    inside.mkdir(parents=True)

    checkout = find_checkout(inside)

    assert checkout is not None
    assert checkout.root == repository


def test_outside_of_any_checkout_there_is_none(tmp_path):
    assert find_checkout(tmp_path) is None


def test_a_packed_branch_still_has_its_commit(repository):
    git(repository, "pack-refs", "--all")

    assert not (repository / ".git/refs/heads/main").exists()
    assert read_checkout(repository).revision == git(repository, "rev-parse", "HEAD")


def test_a_branch_with_a_slash_keeps_its_whole_name(repository):
    git(repository, "checkout", "-q", "-b", "feature/tips")

    assert read_checkout(repository).branch == "feature/tips"


def test_a_detached_head_has_a_commit_and_no_branch(repository):
    git(repository, "checkout", "-q", "--detach")

    checkout = read_checkout(repository)

    assert (checkout.revision, checkout.branch) == (git(repository, "rev-parse", "HEAD"), "")


def test_a_worktree_has_its_own_commit_and_the_origin_of_all(repository, tmp_path):
    worktree = tmp_path / "worktree"
    git(repository, "worktree", "add", "-q", "-b", "fix", str(worktree))
    git(worktree, "commit", "-q", "--allow-empty", "-m", "second")

    checkout = read_checkout(worktree)

    assert checkout == Checkout(worktree, git(worktree, "rev-parse", "HEAD"), "fix", "https://example.org/team/shop")


def test_a_repository_without_commit_or_remote_says_what_there_is(tmp_path):
    git(tmp_path, "init", "-q")

    assert read_checkout(tmp_path) == Checkout(tmp_path, "", "main", "")


def test_without_origin_the_first_remote_counts(repository):
    git(repository, "remote", "remove", "origin")

    assert read_checkout(repository).repository_url == "https://example.org/fork/shop"


def test_what_is_unknown_is_no_attribute(tmp_path):
    assert Checkout(tmp_path, "abc").attributes() == {"vcs.ref.head.revision": "abc"}


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://example.org/team/shop.git", "https://example.org/team/shop"),
        ("https://example.org/team/shop/", "https://example.org/team/shop"),
        ("https://user:secret@example.org:8443/team/shop.git", "https://example.org:8443/team/shop"),
        ("https://x-access-token:ghs_abc@example.org/team/shop", "https://example.org/team/shop"),
        ("git@example.org:team/shop.git", "https://example.org/team/shop"),
        ("example.org:team/shop.git", "https://example.org/team/shop"),
        ("ssh://git@example.org:22/team/shop.git", "https://example.org/team/shop"),
        ("git://example.org/shop.git", "https://example.org/shop"),
        ("http://git.internal.example/shop", "http://git.internal.example/shop"),
        ("/srv/git/shop.git", ""),
        ("file:///srv/git/shop.git", ""),
        ("../shop", ""),
        ("", ""),
    ],
)
def test_a_remote_becomes_an_address_to_read_and_never_shows_a_credential(remote, url):
    assert public_url(remote) == url
