"""What collectors tell each other of their traffic."""

from collector.core.sampling.fleet import Traffic
from collector.store.engine import Store, run
from collector.store.sampling_traffic import TrafficLog


def test_each_hears_what_the_others_said_last_while_it_is_fresh(store: Store):
    log = TrafficLog(store)
    first = Traffic({("shop 'o'", "b"): {"GET /\t": 1.5}}, {"shop 'o'": 2})
    last = Traffic({("shop", "b"): {"GET /": 3.0, "POST /": 0.25}, ("stock", "c"): {"": 1.0}}, {"shop": 1})

    log.say("a", first)
    log.say("a", last)
    log.say("b", first)
    with store.client() as client:
        run(client, "INSERT INTO sampling_traffic VALUES ('gone', now64(6) - INTERVAL 1 MINUTE, '')")

    assert log.others("b") == [last]
    assert log.others("a") == [first]
    assert sorted(log.others("c"), key=repr) == sorted([first, last], key=repr)
