"""Server-sent events: lines to events. Pure. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is what its lines said, joined by newlines."""

    name: str
    data: str
    id: str


class EventTooLong(ValueError):
    """An event that does not end."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"an event is over the limit of {limit} bytes")


@dataclass
class EventReader:
    """Takes one line after the other, without its end."""

    limit: int
    last_id: str = ""
    _name: str = ""
    _data: list[str] = field(default_factory=list)
    _size: int = 0

    def take(self, line: str) -> Event | None:
        """Return the event that this line ends, None while there is none. Raises EventTooLong."""
        if not line:
            return self._dispatch()
        self._size += len(line)
        if self._size > self.limit:
            raise EventTooLong(self.limit)
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self.last_id = value
        return None

    def _dispatch(self) -> Event | None:
        name, data = self._name or "message", self._data
        self._name, self._data, self._size = "", [], 0
        return Event(name, "\n".join(data), self.last_id) if data else None
