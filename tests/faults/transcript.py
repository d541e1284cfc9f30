"""What was said in a situation, as Markdown, and whether it had to be."""

from dataclasses import dataclass, field


@dataclass
class Transcript:
    """Prints as it goes; `lines` are the record."""

    hidden: dict[str, str] = field(default_factory=dict)
    """What the record has instead of names of this machine."""
    lines: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """What was not said, and had to be."""
    _situation: str = ""

    def situation(self, title: str, how: str) -> None:
        self._situation = title
        self._add("", f"## {title}", "", how)

    def said(self, who: str, text: str, *wanted: str) -> None:
        """Write down the words of one speaker; `wanted` has to be among them, and no traceback."""
        for name, shown in self.hidden.items():
            text = text.replace(name, shown)
        self._add("", f"{who}:", "", "```text", text.strip() or "(nothing)", "```")
        for phrase in wanted:
            if phrase not in text:
                self._miss(f"{who} does not say {phrase!r}")
        if "Traceback" in text:
            self._miss(f"{who} shows a traceback")

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self._miss(what)

    def _miss(self, what: str) -> None:
        self.missing.append(f"{self._situation}: {what}")
        print(f"!! {what}", flush=True)

    def _add(self, *lines: str) -> None:
        print("\n".join(lines), flush=True)
        self.lines += lines
