"""When boosts were live."""

from collector.core.sampling.lives import Life, Lives
from collector.core.sampling.policies import KEEP_ENDED_MS, Book
from cpdd.sampling.document import parse_policy
from tests.cpdd.sampling.policies import policy

INC = parse_policy(policy("inc", 100, kind="boost", expires_unix_ms=500))
BASE = parse_policy(policy("base", 1))


def test_a_boost_lives_from_when_it_is_seen_until_it_ends():
    lives = Lives(Book())
    lives.note(Book().put([INC, BASE], 0), 100)

    assert lives.all() == [Life(INC, 100, 500)]


def test_one_that_was_there_at_the_start_may_have_lived_for_ever():
    assert Lives(Book().put([INC], 0)).all() == [Life(INC, 0, 500)]


def test_one_that_somebody_ends_lived_until_then_and_one_that_is_extended_since_it_began():
    book = Book().put([INC], 0)
    longer = parse_policy(policy("inc", 100, kind="boost", expires_unix_ms=900))
    ended, extended = Lives(Book()), Lives(Book())
    for lives in (ended, extended):
        lives.note(book, 100)

    ended.note(book.without("inc", 0), 300)
    extended.note(book.put([longer], 0), 300)

    assert ended.all() == [Life(INC, 100, 300)]
    assert extended.all() == [Life(longer, 100, 900)]


def test_what_is_over_for_an_hour_is_forgotten():
    lives = Lives(Book().put([INC], 0))

    lives.note(Book(), 501 + KEEP_ENDED_MS)

    assert lives.all() == []
