"""The mailer: a worker that takes orders from the queue and writes confirmations to its outbox."""

import logging
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import cpdd

from . import messages
from .service import Switches, run, work

cpdd.init(service="mailer")
log = logging.getLogger("shop")
switches = Switches()
DATABASE = Path(os.environ.get("SHOP_DATA", ".")) / "mailer.sqlite"
WAIT_S = 1.0


def confirm(message: messages.Message) -> None:
    with messages.processing(message):
        switches.strike()
        work(8)
        with closing(sqlite3.connect(DATABASE, isolation_level=None, timeout=2.0)) as database:
            order = message.body
            database.cursor().execute("INSERT INTO outbox VALUES (?, ?)", (order["order"], order["user"]))


class Worker:
    """Takes one message after the other."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                message = messages.receive("orders", WAIT_S)
                if message is not None:
                    confirm(message)
            except Exception as error:
                log.warning("a message was not dealt with and will come again: %s", error)
                self._stopping.wait(WAIT_S)


if __name__ == "__main__":
    with closing(sqlite3.connect(DATABASE)) as outbox:
        outbox.execute("CREATE TABLE IF NOT EXISTS outbox (number INTEGER, user TEXT)")
    run("mailer", switches, Worker())
