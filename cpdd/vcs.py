"""Which commit of which repository the program runs from, read from the `.git` folder; git itself is not needed."""

import configparser
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree: its folder, and what of its commit and origin could be read ("" where it could not)."""

    root: Path
    revision: str = ""
    branch: str = ""
    repository_url: str = ""

    def attributes(self) -> dict[str, str]:
        """Return the resource attributes of the semantic conventions `vcs.*`, without those that are unknown."""
        said = {
            "vcs.repository.url.full": self.repository_url,
            "vcs.ref.head.revision": self.revision,
            "vcs.ref.head.name": self.branch,
            "vcs.ref.head.type": "branch" if self.branch else "",
        }
        return {key: value for key, value in said.items() if value}


def find_checkout(start: Path) -> Checkout | None:
    """Return the checkout that `start` lies in, None where it lies in none.

    Raises:
        OSError, ValueError: the repository is there and cannot be read.
    """
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return read_checkout(folder)
    return None


def read_checkout(root: Path) -> Checkout:
    """Return what `root/.git` says; a worktree and a submodule, whose `.git` is a file, included."""
    git = _git_folder(root)
    common = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref:"):
        return Checkout(root, head, "", _origin(common))
    ref = head.removeprefix("ref:").strip()
    return Checkout(root, _resolve(ref, git, common), ref.removeprefix("refs/heads/"), _origin(common))


def _git_folder(root: Path) -> Path:
    git = root / ".git"
    if git.is_dir():
        return git
    return root / git.read_text().strip().removeprefix("gitdir:").strip()


def _resolve(ref: str, git: Path, common: Path) -> str:
    """The commit a branch points to: a file of its own, or a line in packed-refs; "" before the first commit."""
    for folder in (git, common):
        if (folder / ref).is_file():
            return (folder / ref).read_text().strip()
    packed = common / "packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split(" ", 1)[0] for line in lines if line.endswith(f" {ref}")), "")


def _origin(common: Path) -> str:
    """The address of `origin`, else of the first remote."""
    config = configparser.ConfigParser(strict=False, interpolation=None)
    # git indents with tabs and allows keys without a value; configparser would take the first for continuations
    config.read_string(re.sub(r"(?m)^[ \t]+", "", _with_values((common / "config").read_text())))
    remotes = [name for name in config.sections() if name.startswith("remote ")]
    remotes.sort(key=lambda name: name != 'remote "origin"')
    return public_url(config.get(remotes[0], "url", fallback="")) if remotes else ""


def _with_values(text: str) -> str:
    return re.sub(r"(?m)^(\s*[A-Za-z][\w-]*)\s*$", r"\1 = true", text)


def public_url(remote: str) -> str:
    """Return the address to read a repository at: https, without credentials and `.git`; "" for a local folder.

    >>> public_url("git@github.com:shop/payment.git")
    'https://github.com/shop/payment'
    >>> public_url("https://me:token@git.example.org/shop/payment.git")
    'https://git.example.org/shop/payment'
    """
    short = re.fullmatch(r"(?:[\w.-]+@)?([\w.-]+\.[\w-]+):(?!//)(.+)", remote)
    if short:
        remote = f"ssh://{short[1]}/{short[2]}"
    parts = urlsplit(remote)
    if parts.scheme not in ("http", "https", "ssh", "git") or not parts.hostname:
        return ""
    web = parts.scheme in ("http", "https")
    scheme, port = (parts.scheme, f":{parts.port}" if parts.port else "") if web else ("https", "")
    return f"{scheme}://{parts.hostname}{port}/{parts.path.strip('/').removesuffix('.git')}"
