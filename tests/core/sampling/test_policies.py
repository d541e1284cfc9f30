"""What the server sends is what clients read, whatever programs and spans are called."""

from collector.core.sampling.policies import Book, Shares, document_for
from cpdd.sampling.document import MAX_OPERATIONS, document_json, parse_document
from tests.cpdd.sampling.policies import document, policy


def test_operations_that_somebody_makes_up_do_not_make_a_document_that_clients_refuse():
    book = Book().put(document(policy("a", kind="adaptive", traces_per_second=10)).policies, 0)
    shares = Shares(1.0, {"x" * 900: 0.5} | {f"GET /{number}": 0.5 for number in range(MAX_OPERATIONS + 1)})

    sent = document_for(book, "shop", {"a": shares}, 0)

    assert len(parse_document(document_json(sent)).policies[0].operations) == MAX_OPERATIONS
