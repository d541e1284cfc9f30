"""The form that stands before the pages, and what pages say of who reads them."""

from flask.testing import FlaskClient

from collector.login import ASKED, LOG_OUT_TOKEN, SESSION, USER, Asked, Login
from collector.tokens import Tokens
from tests.ui.conftest import SETTINGS
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage
from tests.ui.shop import NOW_NS
from ui.app import create_app


def form(client: FlaskClient, **asked: object) -> ReadPage:
    given = {"takes_token": True, "proxy_header": "", **asked}
    return ReadPage(client.get("/login", environ_overrides={ASKED: Asked(**given)}).text)  # type: ignore[arg-type]


def test_the_form_asks_for_a_token_and_says_where_it_leads(empty: FlaskClient):
    said = form(empty, address="/traces/1f?span=2")

    fields = {attributes.get("name"): attributes for tag, attributes in said.elements if tag == "input"}
    assert fields["token"]["type"] == "password"
    assert fields["next"]["value"] == "/traces/1f?span=2"
    assert "You go on to /traces/1f?span=2" in said.text


def test_a_wrong_token_is_said_beside_its_field(empty: FlaskClient):
    said = form(empty, problem="No such token is valid here.")

    token = next(attributes for tag, attributes in said.elements if attributes.get("name") == "token")
    assert (token["aria-invalid"], token["aria-describedby"]) == ("true", "problem")
    assert "No such token is valid here." in said.text


def test_where_only_a_proxy_lets_in_nothing_is_asked_for(empty: FlaskClient):
    said = form(empty, takes_token=False, proxy_header="X-Forwarded-User")

    assert not [tag for tag, _ in said.elements if tag in ("form", "input")]
    assert "through a proxy that says who you are" in said.text


def test_where_nothing_stands_before_the_pages_the_form_leads_to_them(empty: FlaskClient):
    assert empty.get("/login").headers["Location"] == "/"


def test_the_form_shows_nothing_of_what_is_stored():
    reader = MemoryReader()
    flask = create_app(reader, SETTINGS, lambda: NOW_NS)
    flask.wsgi_app = Login(Tokens("read_tokens", "secret"), lambda: 0.0).before(flask.wsgi_app)  # type: ignore[method-assign]
    client = flask.test_client()

    answer = client.get("/login?next=/system")

    assert answer.status_code == 200
    assert "nav" not in {tag for tag, _ in ReadPage(answer.text).elements}
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert client.get("/openapi.json").status_code == 401


def test_pages_say_who_reads_them_and_offer_to_log_out(client: FlaskClient):
    nobody = client.get("/")
    by_proxy = client.get("/", environ_overrides={USER: "ann <b>"})
    by_form = client.get("/", environ_overrides={SESSION: True, LOG_OUT_TOKEN: "ours"})
    by_another = client.get("/", environ_overrides={SESSION: True, LOG_OUT_TOKEN: "theirs"})

    assert "You are ann <b>" in ReadPage(by_proxy.text).text
    assert 'action="/logout"' not in nobody.text + by_proxy.text
    fields = [attributes for tag, attributes in ReadPage(by_form.text).elements if tag == "input"]
    assert 'action="/logout"' in by_form.text
    assert [of["value"] for of in fields if of.get("name") == "form_token"] == ["ours"]
    assert len({answer.headers["ETag"] for answer in (nobody, by_proxy, by_form, by_another)}) == 4
    assert "private" in nobody.headers["Cache-Control"]


def test_the_api_says_how_to_come_in(client: FlaskClient):
    described = client.get("/openapi.json").json

    assert set(described["components"]["securitySchemes"]) == {"token", "session"}
    assert {} in described["security"]
    assert all("401" in each["get"]["responses"] for each in described["paths"].values())
