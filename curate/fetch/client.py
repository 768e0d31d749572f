"""One request and its answer, with limits on time, speed and size."""

from __future__ import annotations

import asyncio
import re
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote

from ..errors import CurateError
from .addresses import BLOCKED_ERRNO, Guard
from .content import HEAD_BYTES, check_pdf, is_coded, looks_like_pdf
from .params import FetchError, RefetchParams

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession
    from aiohttp.abc import AbstractResolver
    from yarl import URL

SAMPLE_BYTES = 64 << 10  # kept of a body that is not the document
ROBOTS_BYTES = 500 << 10  # RFC 9309 2.5
_IN_MEMORY_BYTES = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)\Z")


@dataclass(slots=True)
class Answer:
    """A response, with its body as it was sent but for its transfer coding.

    Attributes:
        request: head of the request as it was sent.
        body: a temporary file; `close` it.
        cut: the body is the start of what was sent.
        resumed_at: where later parts of the body were joined on.
        record: path and offset of the record it was replayed from.
        archived: id and date of the record of an earlier archive that it is; its server said that
            it still holds.
    """

    url: URL
    request: bytes
    date: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: IO[bytes]
    size: int = 0
    cut: bool = False
    resumed_at: list[int] = field(default_factory=list)
    record: tuple[str, int] | None = None
    archived: tuple[str, str] | None = None

    def header(self, name: str) -> str:
        """Return the first header of that name; "" if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def validator(self) -> str:
        """What names this version of the body in If-Range; "" if it cannot be gone on with."""
        if self.status != 200 or not self.size or is_coded(self.header("content-encoding")):
            return ""
        tag = self.header("etag")
        if self.header("accept-ranges").lower() == "none":
            return ""
        return tag if tag.startswith('"') else self.header("last-modified")

    def read(self) -> bytes:
        """Return the body."""
        self.body.seek(0)
        return self.body.read()

    def close(self) -> None:
        """Remove the body."""
        self.body.close()


class Client:
    """Sends requests; made and closed in the event loop that uses it.

    Args:
        params: the limits.
        through: address of a replay server that answers in place of the web.
        resolver: looks names up in place of the system, for every connection.
    """

    def __init__(
        self, params: RefetchParams, through: str = "", resolver: AbstractResolver | None = None
    ) -> None:
        self._params = params
        self._through = through
        self._resolver = resolver
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Client:
        import aiohttp

        allowed = self._params.allow_hosts
        if self._through:
            allowed = (*allowed, self._through.partition("://")[2].strip("/"))
        guard = Guard(allowed)
        connector = aiohttp.TCPConnector(
            limit=0,  # the scheduler has the limits
            resolver=guard.resolver(self._resolver),
            socket_factory=guard.open,
            ssl=_tls_context(),
            use_dns_cache=self._resolver is None,
            ttl_dns_cache=300,
        )
        connect = self._params.connect_timeout_s
        timeout = aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={
                "User-Agent": self._params.header,
                "Accept": "application/pdf,*/*;q=0.8",
                "Accept-Encoding": "identity",
            },
        )
        # Its own second try, after a reused connection broke, would pass by whose turn it is.
        self._session._retry_connection = False
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(
        self,
        url: URL,
        document: bool = True,
        partial: Answer | None = None,
        conditions: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once for `url`; redirects are not followed.

        Args:
            url: what to ask for.
            document: a PDF is wanted and checked; else the start of whatever comes is enough.
            partial: what an earlier attempt received of it, with a `validator`, to go on from;
                it is returned, or raised with, if the server did, else it is the caller's still.
            conditions: headers that name the version that is archived already.

        Raises:
            FetchError: with what was received, if the head of an answer was.
        """
        headers = dict(conditions or {})
        if partial is not None:
            headers = {"Range": f"bytes={partial.size}-", "If-Range": partial.validator}
        deadline = time.monotonic() + self._params.total_timeout_s
        with _explained():
            response = await self._open(url, headers)
        try:
            answer = self._answer(url, response, partial)
            try:
                with _explained(answer):
                    await self._receive(response, answer, document, deadline)
            except FetchError:
                answer.cut = True
                raise
        finally:
            # Nothing more is read of it: a connection with the rest of a body is of no use.
            response.close() if not response.content.at_eof() else response.release()
        if document and answer.status == 200:
            coding = answer.header("content-encoding")
            loop, limit = asyncio.get_running_loop(), self._params.max_bytes
            with _explained(answer):
                await loop.run_in_executor(None, check_pdf, answer.body, answer.size, coding, limit)
        return answer

    async def _open(self, url: URL, headers: dict[str, str]) -> ClientResponse:
        from yarl import URL

        assert self._session is not None
        asked = URL(self._through + str(url), encoded=True) if self._through else url
        request = self._session.get(asked, headers=headers, allow_redirects=False)
        wait = self._params.connect_timeout_s + self._params.first_byte_timeout_s
        try:
            return await asyncio.wait_for(request, min(wait, self._params.total_timeout_s))
        except asyncio.TimeoutError as error:
            from aiohttp import ConnectionTimeoutError

            if isinstance(error, ConnectionTimeoutError):
                raise FetchError("timeout_connect", str(error)) from None
            raise FetchError("timeout_first_byte", f"no head of an answer in {wait} s") from None

    def _answer(self, url: URL, response: ClientResponse, partial: Answer | None) -> Answer:
        sent = "".join(
            f"{key}: {value}\r\n" for key, value in response.request_info.headers.items()
        )
        target = response.request_info.url.raw_path_qs
        headers = [
            (key.decode("latin-1"), value.decode("latin-1")) for key, value in response.raw_headers
        ]
        answer = Answer(
            url,
            f"GET {target} HTTP/1.1\r\n{sent}\r\n".encode("latin-1", "replace"),
            datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            response.status,
            # As Latin-1, like headers; aiohttp reads it as UTF-8.
            (response.reason or "").encode("utf-8", "surrogateescape").decode("latin-1"),
            headers,
            tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES),
        )
        if self._through:
            if cause := response.headers.get("X-Curate-Outcome"):
                raise FetchError(cause, "as archived")
            offset = int(response.headers.get("X-Curate-Offset", 0))
            answer.record = (unquote(response.headers.get("X-Curate-Path", "")), offset)
        if partial is not None:
            return self._joined(answer, partial)
        return answer

    def _joined(self, answer: Answer, partial: Answer) -> Answer:
        """Return the earlier answer to be gone on with, if this one is the rest of it."""
        found = _CONTENT_RANGE.match(answer.header("content-range"))
        if answer.status != 206:
            return answer
        length = partial.header("content-length")
        if (
            found is None
            or int(found[1]) != partial.size
            or (length and found[3] not in ("*", length))
            or answer.header("etag") not in ("", partial.header("etag"))
        ):
            got = answer.header("content-range")
            message = f"asked for the rest from byte {partial.size}, got {got!r:.100}"
            raise FetchError("wrong_length", message, answer)
        answer.close()
        partial.resumed_at.append(partial.size)
        partial.cut = False
        return partial

    async def _receive(
        self, response: ClientResponse, answer: Answer, document: bool, deadline: float
    ) -> None:
        """Read the body within the limits."""
        params = self._params
        wanted = document and answer.status == 200
        keep = SAMPLE_BYTES if document or answer.status != 200 else ROBOTS_BYTES
        coded = is_coded(answer.header("content-encoding"))
        answer.body.seek(answer.size)
        head = b"" if answer.size == 0 else b"%PDF-"
        window_end, window_bytes = time.monotonic() + params.speed_window_s, 0
        while True:
            now = time.monotonic()
            if now >= deadline:
                raise FetchError("timeout_total", f"not done in {params.total_timeout_s} s")
            try:
                # Past its end a window is judged only if nothing lies there to be read: a machine
                # that was busy itself does not blame the server.
                wait = max(min(window_end, deadline) - now, 0.001)
                data = await asyncio.wait_for(response.content.readany(), wait)
            except asyncio.TimeoutError:
                now, seconds = time.monotonic(), params.speed_window_s
                if now >= window_end:
                    if window_bytes < params.min_bytes_per_second * seconds:
                        message = f"{window_bytes} bytes in {seconds} s"
                        raise FetchError("too_slow", message) from None
                    window_end, window_bytes = now + seconds, 0
                continue
            if not data:
                break
            window_bytes += len(data)
            if wanted and not coded and len(head) < HEAD_BYTES:
                head += data[:HEAD_BYTES]
                if len(head) >= HEAD_BYTES and not looks_like_pdf(head):
                    wanted = False
            if not wanted and answer.size + len(data) > keep:
                answer.body.write(data[: keep - answer.size])
                answer.size, answer.cut = keep, True
                break
            answer.body.write(data)
            answer.size += len(data)
            if wanted and answer.size > params.max_bytes:
                raise FetchError("too_large", f"more than max_bytes={params.max_bytes}")
        expected = answer.header("content-length")
        whole = wanted and not answer.header("transfer-encoding")
        if whole and expected.isdigit() and answer.size != int(expected):
            raise FetchError("wrong_length", f"{answer.size} bytes, Content-Length {expected}")


@contextmanager
def _explained(answer: Answer | None = None) -> Iterator[None]:
    """Turn what goes wrong with a request into its cause."""
    import aiohttp

    try:
        yield
    except FetchError as error:
        error.answer = error.answer or answer
        raise
    except (aiohttp.ClientError, OSError, ValueError, asyncio.TimeoutError) as error:
        cause = _cause(error, answer is not None)
        reason = getattr(error, "os_error", error)  # without the name of the connection
        raise FetchError(cause, f"{type(reason).__name__}: {reason}"[:300], answer) from None


def _cause(error: Exception, receiving: bool) -> str:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "dns"
    if isinstance(error, ssl.SSLError | ssl.CertificateError | aiohttp.ClientSSLError):
        return "tls"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "blocked_address" if error.os_error.errno == BLOCKED_ERRNO else "connect"
    if isinstance(error, aiohttp.ClientPayloadError):
        reset = isinstance(error.__cause__ or error.__context__, ConnectionError)
        return "reset" if reset else "wrong_length"
    if isinstance(error, aiohttp.InvalidURL):
        return "invalid_url"
    if isinstance(error, aiohttp.ClientConnectionError | ConnectionError | OSError):
        return "reset"
    return "wrong_length" if receiving else "bad_response"


def _tls_context() -> ssl.SSLContext:
    """Return a context that verifies certificates.

    Raises:
        CurateError: this system has no certificates to verify them with.
    """
    context = ssl.create_default_context()
    places = ssl.get_default_verify_paths()
    folder = Path(places.capath) if places.capath else None
    if not context.cert_store_stats()["x509_ca"] and not (folder and any(folder.glob("*"))):
        raise CurateError(
            "refetch: this system has no CA certificates, so no https:// server can be trusted."
            "\nInstall the package ca-certificates, or set SSL_CERT_FILE to a bundle."
        )
    return context
