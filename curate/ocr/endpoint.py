"""Pages read by a vision model behind an OpenAI-compatible endpoint.

vLLM, SGLang and LMDeploy serve RolmOCR and olmOCR so. What a model writes is not the same to the
letter on every run, whatever its temperature: the cache is what makes a run repeatable.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from .. import storage
from ..errors import CurateError, DefinitionError
from . import kept
from .http_reasons import retry_after, said, why_unreachable
from .page_image import TOKEN_SIDE, png
from .repetition import is_invented, repeats

if TYPE_CHECKING:
    import requests

PROMPT = (
    "Write down all the text of this page, in the order in which a person would read it."
    " Give plain text only: do not describe pictures, do not comment, do not translate,"
    " and do not add anything that is not on the page."
)

_EXAMPLE = "http://gpu-1:8000/v1"
_NOT_IN_FINGERPRINT = {"fingerprint": False}
_VERSION = 1  # of what is asked and how the answer is judged; raised, it makes the cache ask again
# Tokens that the prompt and the frame of a conversation may take.
_PROMPT_TOKENS = 256
_CONNECT_S = 30.0
_LONGEST_WAIT_S = 120.0
_NO_LIST = (400, 404, 405, 422)
_OVERLOADED = (408, 409, 425, 429, 502, 503, 504)
# Another run may have more luck with these pages, or a server that is set up otherwise.
_NOT_KEPT = ("timeout", "bad_answer", "http_500", "refused")
# Characters between two looks at whether the text repeats itself.
_LOOK_EVERY = 256


@dataclass(frozen=True)
class Endpoint:
    """Where pages are read, and how.

    Args:
        url: the base, such as "http://gpu-1:8000/v1".
        model: name under which the model is served, such as "reducto/RolmOCR".
        prompt: what the model is asked.
        context_tokens: of the page, the prompt and the answer together; FinePDFs' 8,192.
        repetition_penalty: as in FinePDFs' release. 1 is not sent, for servers that do not know it.
        deadline_s: for one request. It must be far above what any page needs.
        concurrency: requests at once from one worker; pages beyond it wait unrendered.
        attempts: how often a request is made before its page, or the server, is given up.
        backoff_s: the first wait is up to so long, each further one up to twice the one before.
        cache: folder or URL in which answers are kept; a page asked once is never asked again. The
            run's own output folder when empty; a folder beside it serves several runs.
        api_key_variable: name of the environment variable that holds the key.
    """

    url: str = field(metadata=_NOT_IN_FINGERPRINT)
    model: str
    prompt: str = PROMPT
    context_tokens: int = 8192
    repetition_penalty: float = 1.05
    deadline_s: float = 600.0
    concurrency: int = field(default=16, metadata=_NOT_IN_FINGERPRINT)
    attempts: int = field(default=6, metadata=_NOT_IN_FINGERPRINT)
    backoff_s: float = field(default=1.0, metadata=_NOT_IN_FINGERPRINT)
    cache: str = field(default="", metadata=_NOT_IN_FINGERPRINT)
    api_key_variable: str = field(default="", metadata=_NOT_IN_FINGERPRINT)

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")) or not self.model:
            raise DefinitionError(
                f"ocr: endpoint url={self.url!r}, model={self.model!r}: give the base URL, such as"
                f" {_EXAMPLE}, and the name of the model it serves."
            )
        for name in ("repetition_penalty", "deadline_s", "concurrency", "attempts", "backoff_s"):
            if getattr(self, name) <= 0:
                raise DefinitionError(f"ocr: endpoint {name} must be > 0.")
        if self.context_tokens < 4096:
            raise DefinitionError("ocr: endpoint context_tokens must be 4096 or more: a page has"
                                  " up to 2,048 and its text needs room.")  # fmt: skip

    def identity(self) -> Mapping[str, Any]:
        """What decides the text."""
        decides = [f.name for f in fields(self) if f.metadata.get("fingerprint", True)]
        return {"version": _VERSION, **{name: getattr(self, name) for name in decides}}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one page.

    Attributes:
        text: empty where it failed.
        failed: why it failed, or None.
        tokens_in: of the request as the server counted them, or of the image where it did not.
        tokens_out: of the text; the pieces received where the server did not count.
    """

    text: str
    failed: str | None
    tokens_in: int
    tokens_out: int


class _Retry(Exception):
    """A request that may be made again.

    Args:
        page: the reason for which its page fails when no attempt is left; None where it is not the
            page's fault, and the unit must be tried again.
        message: what happened.
        after: seconds that the server asks to wait.
    """

    def __init__(self, page: str | None, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.page = page
        self.after = after


class Client:
    """Asks an endpoint; may be used from several threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._local = threading.local()
        self._lock = threading.Lock()
        self._known = False
        self._answers = False
        self.cache = endpoint.cache

    def cached(self, digest: str) -> Answer | None:
        """Return what is kept of a page, by the digest of its image."""
        if not self.cache:
            return None
        path = self._path(digest)
        try:
            return Answer(**kept.read(path)) if storage.exists(path) else None
        except (ValueError, TypeError):
            return None  # written by another version, or damaged: it is asked again

    def read(self, image: str, digest: str, visual_tokens: int) -> Answer:
        """Return the text of a page.

        Args:
            image: PNG in base64.
            digest: SHA-256 of its pixels.
            visual_tokens: of the image.

        Raises:
            DefinitionError: the endpoint refuses the model or the key.
            CurateError: there is no endpoint, or it is overloaded, after all attempts.
        """
        known = self.cached(digest)
        if known is not None:
            return known
        self._check_model()
        answer: Answer = self._insist(lambda: self._ask(image, visual_tokens))
        if self.cache and answer.failed not in _NOT_KEPT:
            value = {name: getattr(answer, name) for name in Answer.__slots__}
            kept.write(self._path(digest), value, replace=False)
            first = self.cached(digest)  # of whoever wrote first, as all others get it
            if first is not None:
                return first
            kept.write(self._path(digest), value)  # in place of a damaged one
        return answer

    def _path(self, digest: str) -> str:
        asked = json.dumps([digest, self._endpoint.identity()], sort_keys=True)
        key = hashlib.sha256(asked.encode()).hexdigest()
        return storage.join(self.cache, key[:2], f"{key}.json")

    def _insist(self, ask: Callable[[], Any]) -> Any:
        """Make a request until it is answered; a page that never is becomes a failed answer."""
        endpoint = self._endpoint
        for attempt in range(endpoint.attempts):
            try:
                return ask()
            except _Retry as again:
                if attempt + 1 == endpoint.attempts:
                    if again.page is not None:
                        return Answer("", again.page, 0, 0)
                    raise CurateError(
                        f"ocr: {endpoint.url}: {again} ({endpoint.attempts} attempts).\nSee that"
                        " the server runs and the URL is right, and run again: what it has read is"
                        " kept."
                    ) from again
                longest = min(endpoint.backoff_s * 2**attempt, _LONGEST_WAIT_S)
                wait = random.uniform(0, longest)
                time.sleep(wait if again.after is None else max(wait, again.after))
        raise AssertionError("attempts is checked to be > 0")

    @property
    def _session(self) -> requests.Session:
        import requests

        if not hasattr(self._local, "session"):
            session = self._local.session = requests.Session()
            variable = self._endpoint.api_key_variable
            if variable:
                if not os.environ.get(variable):
                    raise DefinitionError(f"ocr: the environment variable {variable} is not set.")
                session.headers["Authorization"] = f"Bearer {os.environ[variable]}"
        session = self._local.session
        assert isinstance(session, requests.Session)
        return session

    def _check_model(self) -> None:
        """See, once, that the endpoint serves the model, where it tells which it serves."""
        with self._lock:
            if not self._known:
                served = self._insist(self._models)
                model = self._endpoint.model
                if isinstance(served, list) and model not in served:
                    raise DefinitionError(
                        f"ocr: {self._endpoint.url} does not serve the model {model!r}."
                        f"\nIt serves: {', '.join(served) or 'none'}."
                    )
                self._known = True

    def _models(self) -> list[str] | None:
        with self._request("GET", "models", None, time.monotonic()) as response:
            try:
                return [str(model["id"]) for model in response.json()["data"]]
            except (KeyError, TypeError):
                return None
            except ValueError:
                raise DefinitionError(
                    f"ocr: {self._endpoint.url}/models is not JSON but {said(response.text)!r}."
                    f"\nGive the base URL of an OpenAI-compatible server, such as {_EXAMPLE}."
                ) from None

    def _request(self, method: str, path: str, body: Any, started: float) -> requests.Response:
        import requests

        endpoint = self._endpoint
        url = f"{endpoint.url.rstrip('/')}/{path}"
        left = max(started + endpoint.deadline_s - time.monotonic(), 0.001)
        try:
            response = self._session.request(
                method, url, json=body, stream=True, timeout=(min(_CONNECT_S, left), left)
            )
        except requests.ReadTimeout as error:
            page = "timeout" if body else None
            raise _Retry(page, f"no answer in {endpoint.deadline_s} s") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _Retry(None, f"no connection: {why_unreachable(error)}") from error
        # Servers that do not list their models answer so.
        if response.status_code == 200 or (not body and response.status_code in _NO_LIST):
            return response
        self._refuse(response)
        raise AssertionError("every other status is refused")

    def _refuse(self, response: requests.Response) -> None:
        status = response.status_code
        with response:
            answer = said(response.text)
        if status in _OVERLOADED:
            raise _Retry(None, f"HTTP {status}", retry_after(response.headers))
        if status >= 500:
            raise _Retry("http_500", f"HTTP {status}", retry_after(response.headers))
        if status in (400, 413, 422):
            raise _Refused(answer)
        raise DefinitionError(
            f"ocr: {self._endpoint.url} refuses: HTTP {status}: {answer}"
            f"\nSee the URL (such servers answer below /v1, as in {_EXAMPLE}), the model"
            f" ({self._endpoint.model}) and the key."
        )

    def _ask(self, image: str, visual_tokens: int) -> Answer:
        """Make one request and judge its answer."""
        body = self._body(image, visual_tokens)
        started = time.monotonic()
        try:
            with self._request("POST", "chat/completions", body, started) as response:
                answer = self._judge(response, started, visual_tokens)
        except _Refused as refused:
            self._check_refusal(str(refused), visual_tokens)
            return Answer("", "refused", 0, 0)
        self._answers = True
        return answer

    def _check_refusal(self, answer: str, visual_tokens: int) -> None:
        """See, once, that the server does not refuse every page: that is no page's fault."""
        import numpy as np

        with self._lock:
            if self._answers:
                return
            white = np.full((2 * TOKEN_SIDE, 2 * TOKEN_SIDE, 3), 255, dtype=np.uint8)
            body = self._body(base64.b64encode(png(white)).decode(), visual_tokens)
            try:
                self._request("POST", "chat/completions", body, time.monotonic()).close()
            except _Refused:
                raise DefinitionError(
                    f"ocr: {self._endpoint.url} refuses every page: {answer}"
                    f"\nSee that it takes images and {self._endpoint.context_tokens} tokens in all;"
                    " set Endpoint(context_tokens=..., repetition_penalty=1) to what it takes."
                ) from None
            self._answers = True

    def _body(self, image: str, visual_tokens: int) -> dict[str, Any]:
        endpoint = self._endpoint
        url = {"url": f"data:image/png;base64,{image}"}
        content = [
            {"type": "image_url", "image_url": url},
            {"type": "text", "text": endpoint.prompt},
        ]
        body: dict[str, Any] = {
            "model": endpoint.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": endpoint.context_tokens - visual_tokens - _PROMPT_TOKENS,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if endpoint.repetition_penalty != 1:
            body["repetition_penalty"] = endpoint.repetition_penalty
        return body

    def _judge(self, response: requests.Response, started: float, visual_tokens: int) -> Answer:
        text, finish, pieces, looked = "", None, 0, 0
        usage: Mapping[str, Any] = {}
        for event in _events(response, started + self._endpoint.deadline_s):
            try:
                usage = event.get("usage") or usage
                for choice in event.get("choices", ())[:1]:
                    part = choice.get("delta") or choice.get("message") or {}
                    text += part.get("content") or ""
                    finish = choice.get("finish_reason") or finish
            except (AttributeError, TypeError) as error:
                raise _Retry("bad_answer", "an answer of another form") from error
            pieces += 1
            if len(text) - looked >= _LOOK_EVERY:
                looked = len(text)
                if repeats(text, whole=False):
                    finish = "repetition"
                    break  # leaving closes the connection, and the server stops writing
        if finish is None:
            raise _Retry(None, "the answer ended before its end")
        tokens_in = int(usage.get("prompt_tokens") or visual_tokens)
        tokens_out = int(usage.get("completion_tokens") or pieces)
        failed: str | None = None if finish == "stop" else finish
        if failed is None and repeats(text):
            failed = "repetition"
        elif failed is None and is_invented(text):
            failed = "invented"
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()
        return Answer("" if failed else whole, failed, tokens_in, tokens_out)


class _Refused(Exception):
    """The server says that this request can never be answered."""


def _events(response: requests.Response, deadline: float) -> Iterator[Any]:
    """Yield the JSON objects of an answer, streamed as server-sent events or in one piece."""
    import requests

    try:
        if "event-stream" not in response.headers.get("Content-Type", ""):
            yield json.loads(response.content)
            return
        for line in response.iter_lines(chunk_size=1024):
            if time.monotonic() > deadline:
                raise _Retry("timeout", "the answer did not end in time")
            if line.startswith(b"data:"):
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                yield json.loads(data)
    except ValueError as error:
        raise _Retry("bad_answer", "an answer that is not JSON") from error
    except requests.RequestException as error:
        # A timeout while reading is a ConnectionError for requests.
        late = time.monotonic() > deadline
        broken = f"the answer broke off: {why_unreachable(error)}"
        raise _Retry("timeout" if late else None, broken) from error
