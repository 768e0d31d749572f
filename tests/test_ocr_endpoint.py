"""Pages read by a model behind an OpenAI-compatible endpoint, on a server that misbehaves."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from curate.document import Document
from curate.errors import CurateError, DefinitionError
from curate.ocr.endpoint import Answer, Client, Endpoint
from curate.ocr.page_image import model_size
from curate.ocr.repetition import is_invented, repeats
from curate.ocr.step import OcrStep
from curate.pages import pages_of

from .openai_server import DEFAULT, MODEL, OpenAiServer, image_size, serving
from .scans import LINES, document, empty, noise, pdf, photograph, picture, text_page

IMAGE, DIGEST, TOKENS = "aW1hZ2U=", "0" * 64, 1500


def endpoint(server: OpenAiServer, attempts: int = 3, cache: str | Path = "") -> Endpoint:
    """Return how a test asks: without long waits."""
    return Endpoint(server.url, MODEL, attempts=attempts, backoff_s=0.001, cache=str(cache))


def ask(server: OpenAiServer, attempts: int = 3) -> Answer:
    """Ask for one page."""
    return Client(endpoint(server, attempts)).read(IMAGE, DIGEST, TOKENS)


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    """A server that answers."""
    with serving() as running:
        yield running


@pytest.mark.parametrize(
    ("moods", "requests"),
    [
        (["ok"], 1),
        (["in one piece"], 1),
        (["no list"], 1),
        (["wait 0", "ok"], 2),
        (["500", "ok"], 2),
        (["502", "503", "ok"], 3),
        (["408", "ok"], 2),
        (["reset", "ok"], 2),
        (["cut", "ok"], 2),
        (["not json", "ok"], 2),
        (["other json", "ok"], 2),
    ],
    ids=str,
)
def test_a_page_is_read_in_spite_of_trouble_that_passes(moods: list[str], requests: int) -> None:
    with serving(*moods) as server:
        answer = ask(server)
        assert (answer.text, answer.failed) == (DEFAULT, None)
        assert (answer.tokens_in, answer.tokens_out > 0) == (1500, True)
        assert len(server.asked) == requests


SENTENCE = "This sentence has more than fifty characters, as it must have."


@pytest.mark.parametrize(
    ("moods", "why"),
    [
        (["length"], "length"),
        (["endless"], "repetition"),
        (["\n".join(["one line"] * 3)], "repetition"),
        ([f"A start. {' '.join([SENTENCE] * 5)}"], "repetition"),
        (["The 2012–13 season was the club's 100th season in existence."], "invented"),
        (["500"], "http_500"),
        (["not json"], "bad_answer"),
        (["other json"], "bad_answer"),
        (["400", "ok"], "refused"),
        (["413", "ok"], "refused"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_page_that_the_model_fails_has_no_text_and_says_why(moods: list[str], why: str) -> None:
    """Never a text that is cut, goes round in circles, or is known to be invented."""
    with serving(*moods) as server:
        answer = ask(server)
        assert (answer.text, answer.failed) == ("", why)


def test_a_server_that_refuses_every_page_is_set_up_wrongly(
    server: OpenAiServer, tmp_path: Path
) -> None:
    """No page is published unread for it, and no refusal is kept."""
    server.moods = ["400"]
    kept = endpoint(server, cache=tmp_path)
    with pytest.raises(DefinitionError, match=r"every page: .*status 400.*\n.*8192 tokens"):
        Client(kept).read(IMAGE, DIGEST, TOKENS)
    server.moods = ["400", "ok"]
    assert Client(kept).read(IMAGE, DIGEST, TOKENS).failed == "refused"
    assert Client(kept).read(IMAGE, DIGEST, TOKENS).text == DEFAULT


@pytest.mark.parametrize("mood", ["hang", "drip"])
def test_a_page_without_an_answer_in_time_fails_and_is_asked_again_in_the_next_run(
    mood: str, tmp_path: Path
) -> None:
    """Neither a server that says nothing holds the run up, nor one that never ends."""
    with serving(mood) as server:
        late = replace(endpoint(server, attempts=2, cache=tmp_path), deadline_s=0.2)
        assert Client(late).read(IMAGE, DIGEST, TOKENS).failed == "timeout"
        assert len(server.asked) == 2
        server.moods = ["ok"]
        again = replace(late, deadline_s=60)
        assert Client(again).read(IMAGE, DIGEST, TOKENS).text == DEFAULT


def test_a_text_that_repeats_itself_is_not_waited_for(server: OpenAiServer) -> None:
    """The connection is closed, so that the server stops: it would never end by itself."""
    server.moods = ["endless"]
    assert ask(server).failed == "repetition"
    with server.lock:
        server.lock.wait_for(lambda: not server.at_once, 10)
    assert not server.at_once


def test_retry_after_is_waited_for(server: OpenAiServer) -> None:
    server.moods = ["wait 0.3", "ok"]
    started = time.monotonic()
    assert ask(server).failed is None
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize(("mood", "said"), [("wait 0", "HTTP 429"), ("503", "HTTP 503")])
def test_an_overloaded_server_ends_the_unit_and_not_its_pages(mood: str, said: str) -> None:
    """The unit is tried again later; no document is published unread for it."""
    with serving(mood) as server, pytest.raises(CurateError, match=said):
        ask(server, attempts=2)


def test_a_server_that_is_not_there_ends_the_unit(server: OpenAiServer) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(CurateError, match="no connection: Connection refused") as failure:
        ask(server, attempts=2)
    assert "run again" in str(failure.value)
    assert server.url in str(failure.value)
    # A terminal shows no more of it.
    assert len(str(failure.value)) < 250


def test_a_name_that_is_no_server_is_told(server: OpenAiServer) -> None:
    nowhere = replace(endpoint(server, attempts=1), url="http://no-such-host.invalid/v1")
    with pytest.raises(CurateError, match=r"no-such-host\.invalid/v1: no connection: \w"):
        Client(nowhere).read(IMAGE, DIGEST, TOKENS)


def test_a_web_site_is_no_endpoint() -> None:
    """Its pages are not taken for answers, so that no document is published unread for it."""
    with serving("website") as server:
        with pytest.raises(DefinitionError, match=r"/models is not JSON but .*\n.*/v1\."):
            ask(server)
        assert not server.asked


def test_a_model_that_is_not_served_is_refused_with_those_that_are(server: OpenAiServer) -> None:
    wrong = replace(endpoint(server), model="reducto/RolmOC")
    with pytest.raises(DefinitionError, match="It serves: reducto/RolmOCR, other"):
        Client(wrong).read(IMAGE, DIGEST, TOKENS)
    assert not server.asked


@pytest.mark.parametrize("moods", [["unauthorized"], ["no list", "401"], ["ok", "404"]], ids=str)
def test_a_refusal_is_told_and_not_repeated(moods: list[str]) -> None:
    with serving(*moods) as server:
        if len(moods) > 1:
            Client(endpoint(server)).read(IMAGE, DIGEST, TOKENS)
        with pytest.raises(DefinitionError, match="refuses"):
            ask(server)
        assert len(server.asked) <= 2


def test_the_key_comes_from_the_environment(
    server: OpenAiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in no pipeline file and in no fingerprint."""
    with_key = replace(endpoint(server), api_key_variable="OCR_TEST_KEY")
    with pytest.raises(DefinitionError, match="OCR_TEST_KEY is not set"):
        Client(with_key).read(IMAGE, DIGEST, TOKENS)
    monkeypatch.setenv("OCR_TEST_KEY", "secret")
    Client(with_key).read(IMAGE, DIGEST, TOKENS)
    assert server.keys == ["Bearer secret"]
    assert with_key.identity() == endpoint(server).identity()


def test_a_page_asked_once_is_never_asked_again(server: OpenAiServer, tmp_path: Path) -> None:
    """Failures of the model are kept too; another prompt or a damaged file is asked again."""
    first = Client(endpoint(server, cache=tmp_path)).read(IMAGE, DIGEST, TOKENS)
    server.moods = ["length"]
    assert Client(endpoint(server, cache=tmp_path)).read(IMAGE, DIGEST, TOKENS) == first
    assert (len(server.asked), server.listed) == (1, 1)
    other = replace(endpoint(server, cache=tmp_path), prompt="Read this.")
    assert Client(other).read(IMAGE, DIGEST, TOKENS).failed == "length"
    assert Client(other).read(IMAGE, DIGEST, TOKENS).failed == "length"
    assert len(server.asked) == 2
    server.moods = ["500"]
    assert Client(other).read(IMAGE, "1" * 64, TOKENS).failed == "http_500"
    server.moods = ["ok"]
    assert Client(other).read(IMAGE, "1" * 64, TOKENS).failed is None
    for path in tmp_path.rglob("*.json"):
        path.write_text("{")
    assert Client(other).read(IMAGE, DIGEST, TOKENS).failed is None


def test_an_answer_that_changed_on_the_disk_is_asked_for_again(
    server: OpenAiServer, tmp_path: Path
) -> None:
    """One flipped bit would else be another text; older answers have no checksum."""
    client = Client(endpoint(server, cache=tmp_path))
    first = client.read(IMAGE, DIGEST, TOKENS)
    (path,) = tmp_path.rglob("*.json")
    whole = path.read_text()
    letter = whole.index(first.text[0], whole.index('"text": "') + 9)
    path.write_text(whole[:letter] + chr(ord(whole[letter]) ^ 1) + whole[letter + 1 :])
    assert client.cached(DIGEST) is None
    assert (client.read(IMAGE, DIGEST, TOKENS), len(server.asked)) == (first, 2)
    assert path.read_text() == whole
    earlier = json.loads(whole)
    del earlier["sha256"]
    path.write_text(json.dumps(earlier))
    assert client.cached(DIGEST) == first


def test_where_the_server_is_does_not_change_what_a_run_is(server: OpenAiServer) -> None:
    """The model and the prompt do."""
    here = OcrStep(engine="endpoint", endpoint=endpoint(server))
    elsewhere = replace(endpoint(server, attempts=9), url="https://gpu-2/v1", concurrency=300)
    assert OcrStep(engine="endpoint", endpoint=elsewhere).identity() == here.identity()
    for change in ({"model": "allenai/olmOCR-7B"}, {"prompt": "Read."}, {"context_tokens": 4096}):
        changed = OcrStep(engine="endpoint", endpoint=replace(endpoint(server), **change))
        assert changed.identity() != here.identity()


def scans(server: OpenAiServer, concurrency: int = 4) -> Iterator[OcrStep]:
    """Return a step that asks the server."""
    step = OcrStep(engine="endpoint", endpoint=replace(endpoint(server), concurrency=concurrency))
    step.setup()
    yield step
    step.close()


@pytest.fixture
def step(server: OpenAiServer) -> Iterator[OcrStep]:
    """A step that asks the server, four pages at once."""
    yield from scans(server)


def scanned(payload: bytes, num_pages: int, ocr_pages: list[int]) -> Document:
    """Return an extracted document whose pages hold what the text layer gave."""
    return document(payload, [f"layer {page}\n" for page in range(num_pages)], ocr_pages)


def test_pages_are_replaced_and_their_ends_are_exact(server: OpenAiServer, step: OcrStep) -> None:
    """And what they cost is counted; pages with no text to see are not asked about."""
    server.moods = ["First page.", "length", "Third page."]
    drawn = [text_page(*LINES), text_page(*LINES[1:]), empty, text_page(*LINES[:2])]
    payload = pdf(*drawn, picture(noise(1)), picture(photograph(1)), scanned=True)
    one_by_one = OcrStep(engine="endpoint", endpoint=replace(endpoint(server), concurrency=1))
    doc = scanned(payload, 6, [0, 1, 2, 3, 4, 5])
    assert one_by_one.apply(doc) is None
    one_by_one.close()
    assert pages_of(doc) == ["First page.", "layer 1\n", "", "Third page.", "", ""]
    assert doc.payload is None
    assert len(server.asked) == 3
    expected = {
        "ocr_done": [0, 2, 3, 4, 5],
        "ocr_failed": [1],
        "ocr_failed_why": ["length"],
        "extractor": "liteparse+RolmOCR",
        "ocr_tokens_in": 4500,
        "ocr_tokens_out": 2 + 2 + 2,
    }
    assert {key: doc.metadata[key] for key in expected} == expected


def test_a_page_is_asked_for_as_the_model_was_trained(server: OpenAiServer, step: OcrStep) -> None:
    """Upright, within its tokens, greedily, and with all of its context for the text."""
    doc = scanned(pdf(text_page(*LINES), scanned=True, rotation=90), 1, [0])
    assert step.apply(doc) is None
    (asked,) = server.asked
    width, height = image_size(asked)
    assert (width, height) == model_size(842, 595)
    assert (asked["model"], asked["temperature"], asked["repetition_penalty"]) == (MODEL, 0, 1.05)
    assert asked["max_tokens"] + width * height // 28**2 + 256 == 8192


@pytest.mark.parametrize(
    ("page", "image"),
    [
        ((595, 842), (896, 1288)),
        ((842, 595), (1288, 896)),
        ((1280, 1280), (1260, 1260)),
        ((3000, 2000), (1540, 1008)),
        ((100, 5000), (112, 5012)),
        ((1, 100_000), (28, 57344)),
    ],
)
def test_images_fit_the_model(page: tuple[int, int], image: tuple[int, int]) -> None:
    """Sides are multiples of 28, the longest 1280 or more, and there are 2,048 tokens at most."""
    width, height = model_size(*page)
    assert (width, height) == image
    assert width % 28 == height % 28 == 0
    assert width * height <= 2048 * 28 * 28


def test_pages_are_read_at_once_but_no_more_than_allowed(server: OpenAiServer) -> None:
    """The server holds its answers back until three pages are there, and never sees a fourth."""
    server.gather = 3
    drawn = [text_page(*LINES, size=12 + page) for page in range(7)]
    for step in scans(server, concurrency=3):
        doc = scanned(pdf(*drawn), 7, list(range(7)))
        assert step.apply(doc) is None
    assert doc.metadata["ocr_done"] == list(range(7))
    assert server.most_at_once == 3


def test_a_dead_server_stops_a_document_with_many_pages(server: OpenAiServer) -> None:
    server.moods = ["503"]
    for step in scans(server):
        with pytest.raises(CurateError, match="HTTP 503"):
            step.apply(scanned(pdf(*[text_page(*LINES)] * 9), 9, list(range(9))))
    assert len(server.asked) <= 4 * 3 + 3


def test_more_text_than_a_page_has_room_for_is_invented(
    server: OpenAiServer, step: OcrStep
) -> None:
    """A model may tell a story of a page with a title; one that fits its page is kept."""
    story = " ".join(f"It is told {number} times and never alike." for number in range(80))
    server.moods = [story]
    doc = scanned(pdf(text_page("Annual Report 2019", size=30), scanned=True), 1, [0])
    assert step.apply(doc) is None
    assert (doc.text, doc.metadata["ocr_failed_why"]) == ("layer 0\n", ["invented"])
    lines = [LINES[number % 3] for number in range(30)]
    doc = scanned(pdf(text_page(*lines), scanned=True), 1, [0])
    assert step.apply(doc) is None
    assert doc.text == story


SHORT, LONG, ROW = "1.2345", "a line of text", "| a | table |"


@pytest.mark.parametrize(
    ("text", "stops"),
    [
        ("\n".join([LONG] * 2), False),
        ("\n".join([LONG] * 3), True),
        ("\n\n".join([LONG] * 3), True),
        (f"{LONG}\n{LONG}\nanother\n{LONG}", False),
        ("\n".join([ROW] * 8), False),
        ("\n".join([ROW] * 9), True),
        ("\n".join([SHORT] * 11), False),
        ("\n".join([SHORT] * 12), True),
        ("\n".join(["1234567"] * 3), False),
        ("\n".join(["12345678"] * 3), True),
        (" ".join([SENTENCE] * 4), False),
        (" ".join([SENTENCE] * 5), True),
        (" ".join(["A short one."] * 5), False),
        (" ".join([SENTENCE[:-1] + ";"] * 5), False),
        ("x" + "." * 349, False),
        ("x" + "." * 350, True),
        ("", False),
    ],
    ids=lambda value: str(value)[:24],
)
def test_repetition_is_seen_at_the_thresholds(text: str, stops: bool) -> None:
    assert repeats(text) is stops


def test_a_line_that_is_still_being_written_is_not_counted() -> None:
    text = "\n".join([LONG] * 3)
    assert not repeats(text, whole=False)
    assert repeats(text + "\n", whole=False)


@pytest.mark.parametrize(
    ("text", "invented"),
    [
        ("The 2012-13 season was", True),
        ("The 1999 – 2000 season", True),
        ("The season 2012-13", False),
        ("The following is a list of the most common types of data breaches and how they", True),
        ("The following is a list", False),
    ],
)
def test_known_inventions_are_seen(text: str, invented: bool) -> None:
    assert is_invented(text) is invented


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "gpu-1:8000"},
        {"model": ""},
        {"concurrency": 0},
        {"attempts": 0},
        {"deadline_s": 0},
        {"context_tokens": 2048},
    ],
    ids=str,
)
def test_an_endpoint_that_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    values = {"url": "http://localhost/v1", "model": MODEL, **wrong}
    with pytest.raises(DefinitionError):
        Endpoint(**values)  # type: ignore[arg-type]  # as a user may write it
