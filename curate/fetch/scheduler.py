"""Many URLs of many hosts: whose turn it is, how often to try, where redirects lead."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import CurateError, InputError
from ..readers.http_body import parse_response
from .archive import encode, load, read_record
from .client import ROBOTS_BYTES, Answer, Client
from .content import digest_of
from .params import PASSING, PASSING_STATUSES, FetchError, RefetchParams, status_cause
from .robots import Rules, parse_rules, robots_url, seconds_of
from .store import Entry, Store
from .trail import Trail, describe, latest, sample
from .urls import host_of, normal_url, target_of

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver
    from yarl import URL

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_ROBOTS_AGE_S = 24 * 3600.0  # RFC 9309 2.4
_MAX_BACKOFF_S = 60.0
# So many URLs of a host in a row that its server did not answer: the rest is not asked for.
_PATIENCE = 10
_NO_NETWORK = ("dns", "connect", "timeout_connect")
_MANY_HOSTS = 20
_UNREACHED = frozenset(("dns", "connect", "tls", "timeout_connect", "blocked_address"))
_UNANSWERED = _UNREACHED | {"reset", "timeout_first_byte", "too_slow"}


class _ClosedError(FetchError):
    """The host is asked no more."""


@dataclass(slots=True)
class _Host:
    """A server's turn, and what is known of it."""

    interval_s: float
    gate: asyncio.Semaphore
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    next_at: float = 0.0
    unanswered: int = 0
    closed: tuple[str, str] = ("", "")


class Scheduler:
    """Fetches URLs politely and tells what became of each.

    Args:
        params: the limits.
        store: where answers are kept; None where they are replayed and kept already.
        through: address of the replay server.
        resolver: looks names up in place of the system.
    """

    def __init__(
        self,
        params: RefetchParams,
        store: Store | None,
        through: str = "",
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._params = params.unhurried() if through else params
        self._store = store
        self._client = Client(self._params, through, resolver)
        self._hosts: dict[str, _Host] = {}
        self._rules: dict[str, asyncio.Task[Rules]] = {}
        self._slots = asyncio.Semaphore(self._params.max_connections)
        self._online = bool(through)
        self._held: list[Entry] = []
        self._random = random.Random(0)  # jitter: decides when, never what
        self._writer = ThreadPoolExecutor(1, "refetch-archive")
        self._packers = ThreadPoolExecutor(os.cpu_count(), "refetch-pack")

    async def run(self, urls: Iterable[str], done: Callable[[Entry], None]) -> None:
        """Fetch each URL once and call `done` with its outcome.

        Args:
            urls: as `normal_url` writes them.
            done: called in this loop, in the order in which they end.

        Raises:
            CurateError: of many hosts none can be reached, so the fault is on this side; what was
                found out about them is not recorded.
        """
        queues: dict[str, deque[str]] = {}
        for url in urls:
            known = self._store.find(url) if self._store else None
            if known is not None:
                done(known)
            else:
                queues.setdefault(host_of(normal_url(url)), deque()).append(url)
        each = self._params.connections_per_host
        try:
            # Names are looked up in threads, each as long as a slow name server takes.
            names = ThreadPoolExecutor(self._params.max_connections, "refetch-names")
            asyncio.get_running_loop().set_default_executor(names)
            async with self._client:
                tasks = [
                    asyncio.ensure_future(self._work(queue, done))
                    for queue in queues.values()
                    for _ in range(min(each, len(queue)))
                ]
                try:
                    await asyncio.gather(*tasks)
                    await self._settle(done)
                finally:
                    rest = [*tasks, *self._rules.values()]
                    for task in rest:
                        task.cancel()
                    await asyncio.gather(*rest, return_exceptions=True)
        finally:
            self._packers.shutdown()
            self._writer.shutdown()
            if self._store is not None:
                self._store.close()

    async def _work(self, queue: deque[str], done: Callable[[Entry], None]) -> None:
        while queue:
            entry, answers = await self._fetch(queue.popleft())
            if entry.outcome in _NO_NETWORK and not self._online:
                self._held.append(entry)
            else:
                await self._record(entry, answers, done)

    async def _settle(self, done: Callable[[Entry], None]) -> None:
        """Record failures that said nothing about the hosts until some host had answered."""
        if len(self._hosts) >= _MANY_HOSTS and not self._online and self._held:
            raise CurateError(
                f"refetch: none of {len(self._hosts)} hosts can be reached, the last:"
                f" {self._held[-1].message or self._held[-1].outcome}"
                "\nCheck that this machine reaches the internet, and run again."
            )
        for entry in self._held:
            await self._record(entry, [], done)

    async def _fetch(self, asked: str) -> tuple[Entry, list[Answer]]:
        """Fetch one URL, whatever comes."""
        started = time.monotonic()
        trail = Trail()
        entry = Entry(asked, "fetched")
        try:
            answer = await self._follow(normal_url(asked), trail)
            entry.bytes = answer.size
            if answer.archived is not None:
                entry.message = f"not modified since it was archived, {answer.archived[1]}"
            loop = asyncio.get_running_loop()
            entry.digest = await loop.run_in_executor(self._packers, digest_of, answer.body)
        except FetchError as error:
            entry.outcome, entry.message = error.cause, error.message[:300]
        except CurateError:
            raise
        except Exception as error:  # a library met something that nobody foresaw
            entry.outcome, entry.message = "error", f"{type(error).__name__}: {error}"[:300]
        describe(entry, trail)
        if self._store is not None:
            entry.seconds = round(time.monotonic() - started, 3)
        return entry, trail.answers

    async def _record(
        self, entry: Entry, answers: list[Answer], done: Callable[[Entry], None]
    ) -> None:
        """Write what came to the archive, unless it is from there, and tell of it."""
        if self._store is not None:
            await self._keep(entry, answers)
        elif answers:
            if entry.outcome == "fetched" and answers[-1].record:
                entry.path, entry.offset = answers[-1].record
            for answer in answers:
                answer.close()
        done(entry)

    async def _keep(self, entry: Entry, answers: list[Answer]) -> None:
        assert self._store is not None
        loop = asyncio.get_running_loop()
        cause = "" if entry.outcome == "fetched" else entry.outcome
        encoded = await loop.run_in_executor(
            self._packers, encode, answers, entry.url, "" if entry.rules else cause, entry.message
        )
        entry.offset = encoded[1] if answers else None
        self._store.add(encoded[0], entry)
        await loop.run_in_executor(self._writer, self._store.commit)

    async def _follow(self, url: URL, trail: Trail) -> Answer:
        """Ask for a URL and for what it redirects to; every hop is held to every rule."""
        seen = {str(url)}
        for _ in range(self._params.max_redirects + 1):
            rules = await self._rules_of(url)
            if rules.cause:
                raise FetchError(rules.cause, rules.message)
            if not rules.allow(url):
                raise FetchError("robots", f"robots.txt of {url.origin()} forbids it")
            answer = await self._ask(url, trail)
            if answer.status == 200:
                return answer
            if answer.status not in _REDIRECTS:
                raise FetchError(status_cause(answer.status), answer.reason[:100])
            url = target_of(url, answer.status, answer.header("location"))
            trail.chain.append(str(url))
            if str(url) in seen:
                raise FetchError("redirect_loop", f"back to {url}")
            seen.add(str(url))
        raise FetchError("too_many_redirects", f"more than {self._params.max_redirects}")

    async def _ask(self, url: URL, trail: Trail, document: bool = True) -> Answer:
        """Ask for a URL; of what is archived already, whether it is still the same.

        Raises:
            FetchError: the last one; what was received is in the trail.
        """
        known = self._store.version(str(url), not document) if self._store else None
        if known is None or known.offset is None:
            return await self._insist(url, trail, document)
        answer = await self._insist(url, trail, document, known.conditions)
        if answer.status != 304:
            return answer
        limit = self._params.max_bytes if document else ROBOTS_BYTES
        archived = await asyncio.get_running_loop().run_in_executor(
            self._packers, load, known.path, known.offset, url, limit
        )
        if archived is None:  # deleted or damaged, or larger than is wanted now
            return await self._insist(url, trail, document)
        trail.answers.append(archived)
        return archived

    async def _insist(
        self, url: URL, trail: Trail, document: bool, conditions: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask until there is an answer that a later attempt would not change."""
        host = self._host(url)
        partial: Answer | None = None
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._slot(host):
                    trail.attempts += 1
                    answer = await self._client.get(url, document, partial, conditions)
                partial = latest(answer, partial)
                host.unanswered, self._online = 0, True
                if answer.status not in PASSING_STATUSES:
                    trail.answers.append(answer)
                    return answer
                error = FetchError(status_cause(answer.status), answer.reason[:100], answer)
                wait = self._retry_after(host, answer, error)
                final = answer.record is not None  # an archive will not say anything else
            except _ClosedError:
                raise
            except FetchError as failed:
                error, wait, final = failed, 0.0, False
                self._count(host, error)
                partial = latest(error.answer, partial)
            last = final or attempt >= self._params.max_attempts
            if last or error.cause not in PASSING or wait > self._params.max_retry_after_s:
                if partial is not None:
                    trail.answers.append(sample(partial))
                raise error
            if partial is not None and not partial.validator:
                partial.close()
                partial = None
            bound = min(self._params.backoff_s * 2 ** (attempt - 1), _MAX_BACKOFF_S)
            await asyncio.sleep(max(wait, self._random.uniform(0, bound)))

    @asynccontextmanager
    async def _slot(self, host: _Host) -> AsyncIterator[None]:
        """Wait until the host may be asked, and there is room for one more connection."""
        async with host.gate:
            async with host.turn:
                while (wait := host.next_at - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                if host.closed[0]:
                    raise _ClosedError(*host.closed)
                await self._slots.acquire()
                host.next_at = time.monotonic() + host.interval_s
            try:
                yield
            finally:
                self._slots.release()

    def _host(self, url: URL) -> _Host:
        name = host_of(url)
        if name not in self._hosts:
            rate = self._params.requests_per_second
            gate = asyncio.Semaphore(self._params.connections_per_host)
            self._hosts[name] = _Host(1 / rate if rate else 0.0, gate)
        return self._hosts[name]

    def _count(self, host: _Host, error: FetchError) -> None:
        """Give a host up that has not answered for long."""
        if error.cause not in _UNANSWERED:
            return
        host.unanswered += 1
        if host.unanswered >= _PATIENCE * self._params.max_attempts and not host.closed[0]:
            message = f"{host.unanswered} attempts without an answer, the last: {error.cause}"
            host.closed = ("host_unresponsive", message)

    def _retry_after(self, host: _Host, answer: Answer, error: FetchError) -> float:
        """Return the seconds to wait that a busy server names; all of its URLs wait so long."""
        wait = 0.0 if answer.record else seconds_of(answer.header("retry-after"))
        if wait > self._params.max_retry_after_s:
            error.message = f"Retry-After {wait:.0f} s is more than max_retry_after_s"
            host.closed = host.closed if host.closed[0] else ("rate_limited", error.message)
        elif wait:
            host.next_at = max(host.next_at, time.monotonic() + wait)
        return wait

    async def _rules_of(self, url: URL) -> Rules:
        """Return the rules of a URL's server; they are fetched once."""
        key = str(url.origin())
        if key not in self._rules:
            self._rules[key] = asyncio.ensure_future(self._load_rules(url))
        return await asyncio.shield(self._rules[key])

    async def _load_rules(self, url: URL) -> Rules:
        asked = robots_url(url)
        agent = self._params.user_agent
        known = self._store.find_rules(str(asked), _ROBOTS_AGE_S) if self._store else None
        rules = None
        if known is not None and known.offset is not None and known.outcome == "fetched":
            with suppress(InputError):  # a record that was damaged since
                block = read_record(known.path, known.offset, 2 * ROBOTS_BYTES).block
                response = parse_response(block)
                coding = response.fields.get(b"content-encoding", b"").decode("latin-1")
                rules = parse_rules(response.status or 0, block[response.start :], coding, agent)
        if rules is None:
            rules = await self._ask_rules(asked)
        host = self._host(url)
        if self._params.requests_per_second:
            host.interval_s = max(host.interval_s, rules.delay_s)
        return rules

    async def _ask_rules(self, asked: URL) -> Rules:
        trail = Trail()
        entry = Entry(str(asked), "fetched", rules=True, seconds=0.0)
        agent = self._params.user_agent
        try:
            url = asked
            for _ in range(self._params.max_redirects + 1):
                answer = await self._ask(url, trail, document=False)
                if answer.status not in _REDIRECTS:
                    break
                url = target_of(url, answer.status, answer.header("location"))
                trail.chain.append(str(url))
            body, coding = answer.read(), answer.header("content-encoding")
            # A redirect too many is no rules, as 4xx (2.3.1.2).
            rules = parse_rules(answer.status, body, coding, agent)
        except FetchError as error:
            entry.outcome, entry.message = error.cause, error.message
            if trail.answers and trail.answers[-1].status >= 400:
                rules = parse_rules(trail.answers[-1].status, b"", "", agent)
            elif error.cause in {*_UNREACHED, "invalid_url"} and not trail.answers:
                rules = Rules(agent, error.cause, error.message)
            else:
                message = f"robots.txt: {error.cause} {error.message}"
                rules = Rules(agent, "robots_unreachable", message)
        describe(entry, trail)
        if self._store is not None and trail.answers:
            await self._keep(entry, trail.answers)
        else:
            for answer in trail.answers:
                answer.close()
        return rules
