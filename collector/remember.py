"""Reads into memory where the traces lie that were stored before this process began. Started by `serve`."""

import logging

from collector.background import Background
from collector.store.engine import Store
from collector.store.recent_places import RecentPlaces, remember_stored
from collector.store.trouble import explain

log = logging.getLogger(__name__)


class Rememberer(Background):
    """Reads once; until it is done, and where it fails, pages look older traces up in the store."""

    def __init__(self, store: Store, places: RecentPlaces) -> None:
        super().__init__("cpdd-remember")
        self._store = store
        self._places = places

    def _run(self) -> None:
        try:
            with self._store.client() as client:
                remember_stored(self._places, client)
        except Exception as error:  # the top of a thread
            reason = explain(error, self._store.address.shown)
            log.warning("where older traces lie is looked up in the store", extra={"reason": reason})
            return
        log.info("recent traces are known", extra={"rows": len(self._places), "since": self._places.since_s})
