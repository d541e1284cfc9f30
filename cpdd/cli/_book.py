"""What `cpdd.toml` says of journeys and queues, for the verbs that need it."""

from dataclasses import replace

from collector.core.journeys import JourneyBook
from collector.core.journeys_file import parse_journeys
from collector.core.queues_file import parse_queues
from cpdd.cli._settings import config_file


def load_book(config: str | None = None) -> JourneyBook:
    """Return the journeys and queues of the named file, else of `./cpdd.toml`; an empty book where there is none.

    Raises:
        SettingsError: the file cannot be read, or says something that cannot be used.
    """
    text, name = config_file(config)
    return replace(parse_journeys(text, name), queues=parse_queues(text, name))
