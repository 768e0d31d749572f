"""What a refetch makes of every kind of server, and what it never connects to."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import ipaddress
import itertools
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from warcio.archiveiterator import ArchiveIterator

from curate.errors import CurateError, DefinitionError
from curate.fetch.addresses import is_public
from curate.fetch.archive import read_record
from curate.fetch.params import REASONS, FetchError, RefetchParams
from curate.fetch.replay import replaying
from curate.fetch.robots import seconds_of
from curate.fetch.scheduler import Scheduler
from curate.fetch.store import Entry, Store
from curate.fetch.urls import normal_url, site_of

from .hostile_server import HostileServer, pdf

# Short enough for a test to wait for, long enough for a loaded machine.
PARAMS = RefetchParams(
    requests_per_second=0,
    connections_per_host=50,
    max_attempts=2,
    connect_timeout_s=5,
    first_byte_timeout_s=0.01,
    total_timeout_s=5,
    min_bytes_per_second=1_000,
    speed_window_s=1,
    max_bytes=8 << 20,
    backoff_s=0.01,
    max_retry_after_s=2,
)


def fetch(
    folder: Path,
    urls: Sequence[str],
    params: RefetchParams,
    resolver: AbstractResolver | None = None,
) -> dict[str, Entry]:
    """Return what became of each URL."""
    found: dict[str, Entry] = {}
    store = Store(str(folder), 0, 4096, params)
    scheduler = Scheduler(params, store, resolver=resolver)
    asyncio.run(scheduler.run(urls, lambda entry: found.update({entry.url: entry})))
    return found


def body_of(entry: Entry) -> bytes:
    """Return the body in the archive, as another program reads it."""
    with Path(entry.path).open("rb") as stream:
        stream.seek(entry.offset or 0)
        record = next(iter(ArchiveIterator(stream)))
        assert record.rec_type == "response"
        content: bytes = record.content_stream().read()
        return content


OUTCOMES = [
    ("pdf/a", "fetched"),
    ("chunked/", "fetched"),
    ("coded/gzip", "fetched"),
    ("coded/deflate", "fetched"),
    ("once/503/1/a", "fetched"),
    ("once/429/-/b", "fetched"),
    ("once/503/DATE/c", "fetched"),
    ("to//pdf/a", "fetched"),
    ("worded/", "fetched"),
    ("less/5", "fetched"),
    ("less/6", "too_many_redirects"),
    ("more/1", "too_many_redirects"),
    ("to//to/x", "redirect_loop"),
    ("nowhere/", "bad_redirect"),
    ("to/ftp://example.org/", "bad_redirect"),
    ("to/http://127.0.0.1/", "blocked_address"),
    ("to/http://127.0.0.2:8080/", "blocked_address"),
    ("to/http://10.0.0.1/", "blocked_address"),
    ("to/http://192.168.1.1/", "blocked_address"),
    ("to/http://172.16.0.1/", "blocked_address"),
    ("to/http://100.64.0.1/", "blocked_address"),
    ("to/http://169.254.169.254/latest/meta-data/", "blocked_address"),
    ("to/http://168.63.129.16/metadata/", "blocked_address"),
    ("to/http://0.0.0.0/", "blocked_address"),
    ("to/http://0x7f.1/", "bad_redirect"),
    ("to/http://localhost/", "blocked_address"),
    ("to/http://[::1]/", "blocked_address"),
    ("to/http://[::ffff:127.0.0.1]/", "blocked_address"),
    ("to/http://[64:ff9b::7f00:1]/", "blocked_address"),
    ("to/http://[2002:7f00:1::]/", "blocked_address"),
    ("to/http://[2001::1]/", "blocked_address"),
    ("to/http://[fd00:ec2::254]/", "blocked_address"),
    ("to/http://[fe80::1]/", "blocked_address"),
    ("to/http://[ff02::1]/", "blocked_address"),
    ("to/http://2130706433/", "bad_redirect"),
    ("html/a", "not_pdf"),
    ("noend/", "incomplete"),
    ("short/", "wrong_length"),
    ("badchunks/", "wrong_length"),
    ("cutoff/", "wrong_length"),
    ("badlength/", "bad_response"),
    ("garbage/", "bad_response"),
    ("coded/zz", "bad_encoding"),
    ("miscoded/", "bad_encoding"),
    ("bomb/", "encoding_bomb"),
    ("endless/", "too_large"),
    ("drip/", "too_slow"),
    ("steady/", "timeout_total"),
    ("driphead/", "timeout_first_byte"),
    ("hang/", "timeout_first_byte"),
    ("reset/", "reset"),
    ("busy/9999", "rate_limited"),
    ("status/204", "http_204"),
    ("status/401", "http_401"),
    ("status/403", "http_403"),
    ("status/404", "http_404"),
    ("status/410", "http_410"),
    ("status/500", "http_500"),
    ("status/503", "http_503"),
    ("status/999", "http_other"),
    ("broken/good", "fetched"),
    ("broken/ignores", "fetched"),
    ("broken/lies", "wrong_length"),
    ("broken/untagged", "fetched"),
]


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Entry, int]]]:
    """Every behaviour met at once; gives the outcome of a path and how often it was asked for."""
    with HostileServer() as server:
        soon = email.utils.formatdate(time.time() + 1.5, usegmt=True).replace(" ", "_")
        # A server that says when it can be asked again is asked nothing until then, or no more.
        apart = ("once/503", "busy/")
        paths = {path: path.replace("DATE", soon) for path, _ in OUTCOMES}
        groups = [[p for p in paths if not p.startswith(apart)]]
        groups += [[p] for p in paths if p.startswith(apart)]
        found: dict[str, Entry] = {}
        for group in groups:
            params = replace(PARAMS, allow_hosts=server.allowed)
            urls = [str(normal_url(server.url(paths[p]))) for p in group]
            found.update(fetch(tmp_path_factory.mktemp("out"), urls, params))

        def of(path: str) -> tuple[Entry, int]:
            url = normal_url(server.url(paths[path]))
            return found[str(url)], server.paths().count(url.raw_path_qs[1:])

        yield of


@pytest.mark.parametrize(("path", "outcome"), OUTCOMES)
def test_every_server_has_its_outcome(
    met: Callable[[str], tuple[Entry, int]], path: str, outcome: str
) -> None:
    """Whatever a server does, its document ends with one cause that says what it did."""
    entry, _ = met(path)
    assert (entry.outcome, entry.outcome in (*REASONS, "fetched")) == (outcome, True), entry


@pytest.mark.parametrize(
    ("path", "times"),
    [("status/404", 1), ("html/a", 1), ("status/503", 2), ("reset/", 2), ("busy/9999", 1)],
)
def test_only_what_may_pass_is_tried_again(
    met: Callable[[str], tuple[Entry, int]], path: str, times: int
) -> None:
    """A server is not asked again for what it said it does not have."""
    assert met(path)[1] == times


def test_an_answer_is_archived_as_it_was_sent(met: Callable[[str], tuple[Entry, int]]) -> None:
    """The archive holds the bytes of the document, with its ETag, for any WARC tool to read."""
    entry, _ = met("pdf/a")
    assert body_of(entry) == pdf("a")
    block = read_record(entry.path, entry.offset or 0, 1 << 20).block
    assert b'ETag: "v1"' in block
    assert body_of(met("chunked/")[0]) == pdf(size=2976)
    assert body_of(met("coded/gzip")[0]) == pdf()


@pytest.mark.parametrize("kind", ["good", "ignores", "untagged"])
def test_a_broken_download_is_gone_on_with(
    met: Callable[[str], tuple[Entry, int]], kind: str
) -> None:
    """Whether a server can go on where it broke off or cannot: the bytes are right."""
    entry, _ = met(f"broken/{kind}")
    assert body_of(entry) == pdf("resumed", 40_000)
    fields = read_record(entry.path, entry.offset or 0, 1 << 20).fields
    assert (b"refetch-resumed-at" in fields) == (kind == "good")


def test_a_server_that_goes_on_elsewhere_is_not_believed(tmp_path: Path) -> None:
    """The wrong part of a document is never joined on; the next attempt starts anew."""
    with HostileServer() as server:
        params = replace(PARAMS, allow_hosts=server.allowed, max_attempts=3)
        url = server.url("broken/lies")
        entry = fetch(tmp_path, [url], params)[url]
        assert (entry.outcome, entry.attempts) == ("fetched", 3)
        assert body_of(entry) == pdf("resumed", 40_000)


def test_redirects_are_recorded(met: Callable[[str], tuple[Entry, int]]) -> None:
    """The chain that led to a document is kept."""
    entry, _ = met("less/5")
    assert [url.rsplit("/", 1)[-1] for url in entry.chain] == ["4", "3", "2", "1", "end"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), ("-7", 0), ("1.5", 0), ("\xb2", 0), ("soon", 0), ("", 0)]
)
def test_a_retry_after_that_is_no_number_is_none(text: str, seconds: float) -> None:
    """Whatever a server writes there, its URL ends with the status and not with an error."""
    assert seconds_of(text) == seconds


def test_a_head_is_archived_and_replayed_as_it_was_sent(tmp_path: Path) -> None:
    """A reason and a target that are not ASCII cost nothing, and a replay goes the same way."""
    with HostileServer() as server:
        params = replace(PARAMS, allow_hosts=server.allowed)
        url = server.url("worded/")
        entry = fetch(tmp_path, [url], params)[url]
    (archive,) = tmp_path.glob("refetch/*.warc.gz")
    archive = archive.rename(tmp_path / "é 日%41.warc.gz")
    assert b"HTTP/1.1 302 Trouv\xc3\xa9 \xff\r\n" in gzip.decompress(archive.read_bytes())
    with replaying((str(archive),)) as through:
        found: list[Entry] = []
        asyncio.run(Scheduler(params, None, through).run([url], found.append))
    for again in (entry, *found):
        assert (again.outcome, again.digest) == ("fetched", entry.digest)
        assert (again.offset, again.chain) == (entry.offset, entry.chain)
    assert found[0].path == str(archive)


@pytest.mark.parametrize(
    ("robots", "outcome"),
    [
        (None, "fetched"),
        ("404", "fetched"),
        ("403", "fetched"),
        ("User-agent: *\nDisallow: /private", "fetched"),
        ("User-agent: *\nDisallow: /", "robots"),
        ("User-agent: curate\nDisallow: /pdf\n\nUser-agent: *\nAllow: /", "robots"),
        ("User-agent: curate\nAllow: /pdf\n\nUser-agent: *\nDisallow: /", "fetched"),
        ("User-agent: *\nDisallow: /\nAllow: /pdf/", "fetched"),
        ("<html>not rules</html>", "fetched"),
        ("# " + "x" * (600 << 10) + "\nUser-agent: *\nDisallow: /", "fetched"),
        ("500", "robots_unreachable"),
        ("503", "robots_unreachable"),
        ("429", "robots_unreachable"),
        ("hang", "robots_unreachable"),
    ],
)
def test_robots_txt_is_obeyed(tmp_path: Path, robots: str | None, outcome: str) -> None:
    """What the owner forbids is not asked for; rules that cannot be read forbid everything."""
    with HostileServer(robots=robots) as server:
        params = replace(PARAMS, allow_hosts=server.allowed, connect_timeout_s=0.5, max_attempts=1)
        urls = [server.url(f"pdf/{name}") for name in "abc"]
        found = fetch(tmp_path, urls, params)
        assert {entry.outcome for entry in found.values()} == {outcome}
        assert sum(visit.path == "robots.txt" for visit in server.visits) == 1
        assert len(server.paths()) == (3 if outcome == "fetched" else 0)


class ChangingResolver(AbstractResolver):
    """Answers with one address the first times it is asked, then with another."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = itertools.chain(addresses, itertools.repeat(addresses[-1]))

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = next(self._addresses)
        number = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(hostname=host, host=address, port=port, family=number, proto=0, flags=0)
        ]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("second", ["127.0.0.2", "10.0.0.1", "169.254.169.254", "::1"])
def test_a_name_that_changes_its_answer_gets_nowhere(tmp_path: Path, second: str) -> None:
    """A name that was good when its robots.txt was asked for is checked again when connected."""
    with HostileServer(["127.0.0.1", "127.0.0.2"]) as server:
        params = replace(PARAMS, allow_hosts=server.allowed[:1], connections_per_host=1)
        urls = [f"http://rebind.example:{server.port}/{p}" for p in ("garbage/", "pdf/b")]
        found = fetch(tmp_path, urls, params, ChangingResolver("127.0.0.1", second))
        # The first answers with nonsense, which ends the connection and the memory of the name.
        assert {visit.host for visit in server.visits} == {"127.0.0.1"}
        outcomes = [found[url].outcome for url in urls]
        assert outcomes == ["bad_response", "blocked_address"]


def test_the_address_is_checked_where_the_socket_opens(tmp_path: Path) -> None:
    """A name is not believed: its address decides, each time that one is connected."""
    with HostileServer(["127.0.0.2"]) as server:
        url = f"http://friendly.example:{server.port}/pdf/a"
        hidden = replace(PARAMS, max_attempts=1)
        found = fetch(tmp_path / "a", [url], hidden, ChangingResolver("127.0.0.2"))
        assert (found[url].outcome, server.visits) == ("blocked_address", [])
        for allowed in ("friendly.example", f"friendly.example:{server.port}", "127.0.0.0/8"):
            params = replace(hidden, allow_hosts=(allowed,))
            found = fetch(tmp_path / allowed, [url], params, ChangingResolver("127.0.0.2"))
            assert found[url].outcome == "fetched"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("9.255.255.255", True),
        ("10.0.0.0", False),
        ("11.0.0.0", True),
        ("100.63.255.255", True),
        ("100.64.0.0", False),
        ("100.127.255.255", False),
        ("100.128.0.0", True),
        ("127.255.255.255", False),
        ("169.254.169.254", False),
        ("172.15.255.255", True),
        ("172.31.255.255", False),
        ("172.32.0.0", True),
        ("192.168.255.255", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("168.63.129.15", True),
        ("168.63.129.16", False),  # Azure's metadata
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("0.1.2.3", False),
        ("::", False),
        ("::1", False),
        ("::7f00:1", False),
        ("::ffff:93.184.215.14", False),
        ("64:ff9b::5db8:d70e", False),
        ("64:ff9b:1::1", False),
        ("2001:0:5db8::1", False),
        ("2002:5db8:d70e::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("ff0e::1", False),
    ],
)
def test_addresses_of_the_open_internet(address: str, public: bool) -> None:
    """Only an address of the open internet is connected, and none that wraps another."""
    assert is_public(ipaddress.ip_address(address)) == public


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that is signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    paths[1].write_bytes(secret)
    return paths


def test_certificates_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose certificate nobody vouches for gets no request; a trusted one is read."""
    files = write_certificate(tmp_path)
    with HostileServer(certificate=files) as server:
        params = replace(PARAMS, allow_hosts=server.allowed)
        url = server.url("pdf/a", scheme="https")
        assert fetch(tmp_path / "a", [url], params)[url].outcome == "tls"
        assert server.visits == []
        monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
        assert fetch(tmp_path / "b", [url], params)[url].outcome == "fetched"


def test_nobody_listens_and_no_such_name(tmp_path: Path) -> None:
    """A host that cannot be reached is told from one that does not exist."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{probe.getsockname()[1]}/a.pdf"
        unknown = "http://no-such-host.invalid/a.pdf"
        params = replace(PARAMS, allow_hosts=("127.0.0.1",))
        found = fetch(tmp_path, [refused, unknown], params)
    assert (found[refused].outcome, found[unknown].outcome) == ("connect", "dns")


def test_without_a_network_nothing_is_recorded(tmp_path: Path) -> None:
    """A machine that reaches nobody says so; it does not write thousands of hosts off."""
    urls = [f"http://127.0.1.{number}:9/a.pdf" for number in range(1, 31)]
    params = replace(PARAMS, allow_hosts=("127.0.0.0/8",))
    with pytest.raises(CurateError, match="none of 30 hosts can be reached"):
        fetch(tmp_path, urls, params)
    with HostileServer() as server:
        found = fetch(tmp_path, [*urls, server.url("pdf/a")], params)
    assert Counter(entry.outcome for entry in found.values()) == {"connect": 30, "fetched": 1}


def test_two_processes_on_one_unit_do_no_harm(tmp_path: Path) -> None:
    """A worker that was taken for dead and its replacement each keep an archive of their own."""
    with HostileServer() as server:
        server.delay_s = 0.05
        params = replace(PARAMS, allow_hosts=server.allowed)
        urls = [server.url(f"pdf/{number}") for number in range(20)]
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda _: fetch(tmp_path, urls, params), range(2)))
        asked = len(server.paths())
        both.append(fetch(tmp_path, urls, params))
        assert len(server.paths()) == asked
    for found in both:
        for url, entry in found.items():
            assert body_of(entry) == pdf(url.rsplit("/", 1)[-1])


def test_a_dead_host_is_given_up(tmp_path: Path) -> None:
    """A server that never answers costs some attempts, not some for each of its documents."""
    with HostileServer() as server:
        params = replace(PARAMS, allow_hosts=server.allowed, connections_per_host=1, backoff_s=0)
        urls = [server.url(f"reset/{number}") for number in range(40)]
        outcomes = [entry.outcome for entry in fetch(tmp_path, urls, params).values()]
        assert outcomes == ["reset"] * 10 + ["host_unresponsive"] * 30
        assert len(server.paths()) == 20


def test_the_rate_of_a_host_is_held(tmp_path: Path) -> None:
    """Whoever runs a server sees no more requests a second, and at once, than was promised."""
    hosts = [f"127.0.0.{number}" for number in range(1, 6)]
    with HostileServer(hosts) as server:
        server.delay_s = 0.15
        params = replace(
            PARAMS, allow_hosts=server.allowed, requests_per_second=10, connections_per_host=2
        )
        urls = [server.url(f"pdf/{number}", host) for host in hosts for number in range(8)]
        found = fetch(tmp_path, urls, params)
        assert {entry.outcome for entry in found.values()} == {"fetched"}
        for host in hosts:
            times = [visit.time for visit in server.visits if visit.host == host]
            assert len(times) == 9
            assert times[-1] - times[0] >= 8 * 0.1 * 0.95
            assert max(visit.open for visit in server.visits if visit.host == host) <= 2


def test_a_crawl_delay_is_obeyed(tmp_path: Path) -> None:
    """A longer delay that robots.txt asks for is kept to."""
    with HostileServer(robots="User-agent: *\nCrawl-delay: 0.5") as server:
        params = replace(PARAMS, allow_hosts=server.allowed, requests_per_second=100)
        fetch(tmp_path, [server.url(f"pdf/{number}") for number in range(3)], params)
        times = [visit.time for visit in server.visits if visit.path != "robots.txt"]
        assert times[-1] - times[0] >= 0.95


def test_what_is_in_the_archive_is_not_asked_for_again(tmp_path: Path) -> None:
    """A later run, under other limits too, asks neither for documents nor for rules again."""
    with HostileServer(robots="User-agent: *\nDisallow: /secret") as server:
        params = replace(PARAMS, allow_hosts=server.allowed)
        urls = [server.url(p) for p in ("pdf/a", "status/404", "status/503", "secret/b")]
        first = fetch(tmp_path, urls, params)
        visits = len(server.visits)
        assert fetch(tmp_path, urls, params) == first
        assert len(server.visits) == visits
        # Another round asks again for what may have passed, other limits for what failed.
        again = fetch(tmp_path, urls, replace(params, retry_round=1))
        assert server.paths()[4:] == ["status/503"] * 2
        assert again[urls[0]] == first[urls[0]]
        fetch(tmp_path, urls, replace(params, max_bytes=1 << 20))
        assert sorted(server.paths()[6:]) == ["status/404", "status/503", "status/503"]
        assert sum(visit.path == "robots.txt" for visit in server.visits) == 1


def test_a_torn_archive_is_mended(tmp_path: Path) -> None:
    """What a killed process had not finished is cut off; what it had finished stays."""
    with HostileServer() as server:
        params = replace(PARAMS, allow_hosts=server.allowed)
        urls = [server.url(f"pdf/{name}") for name in "ab"]
        first = fetch(tmp_path, urls, params)
        archive = Path(first[urls[0]].path)
        journal = Path(str(archive).replace(".warc.gz", ".jsonl"))
        whole, lines = archive.read_bytes(), journal.read_bytes()
        with archive.open("ab") as stream:
            stream.write(whole[-300:-100])
        with journal.open("ab") as stream:
            stream.write(b'{"url": "http://127')
        assert fetch(tmp_path, urls, params) == first
        assert (archive.read_bytes(), journal.read_bytes()) == (whole, lines)
        assert len(server.paths()) == 2


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("http://user:pw@Example.org:80/a b#c", "http://example.org/a%20b"),
        ("https://example.org/a%2Fb?c=d%20e&f", "https://example.org/a%2Fb?c=d%20e&f"),
        ("http://bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC"),
        (" http://example.org/a\n", "http://example.org/a"),
    ],
)
def test_urls_are_asked_for_in_one_form(url: str, normal: str) -> None:
    """A URL is asked for once however it is written, and never with a password."""
    assert str(normal_url(url)) == normal
    assert str(normal_url(normal)) == normal


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "example.org/a.pdf",
        "ftp://example.org/a",
        "http://",
        "http://a:99999/",
        "http://[1",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://example.org/" + "x" * 9000,
        "file:///etc/passwd",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_url_is_invalid(url: str | None) -> None:
    """What cannot be asked for is a cause of its own."""
    with pytest.raises(FetchError) as caught:
        normal_url(url)
    assert caught.value.cause == "invalid_url"


def test_a_site_is_one_piece_of_work() -> None:
    """Hosts of one registered domain stay together; addresses stand for themselves."""
    assert site_of("www.example.co.uk") == site_of("cdn.example.co.uk") == "example.co.uk"
    assert site_of("a.github.io") != site_of("b.github.io")
    assert site_of("127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize(
    "values",
    [
        {"user_agent": ""},
        {"user_agent": "my crawler/1.0"},
        {"contact": "a\nb"},
        {"max_attempts": 0},
        {"max_connections": 0},
        {"requests_per_second": -1},
        {"total_timeout_s": 0},
        {"retry_round": -1},
        {"allow_hosts": ("http://localhost/",)},
    ],
)
def test_parameters_are_checked(values: dict[str, Any]) -> None:
    """A parameter that cannot be meant is refused before anything is asked for."""
    with pytest.raises(DefinitionError, match="refetch: "):
        RefetchParams(**values)


def test_the_crawler_says_who_it_is(tmp_path: Path) -> None:
    """Servers see the product, its version and the contact."""
    with HostileServer() as server:
        params = replace(PARAMS, allow_hosts=server.allowed, contact="https://example.org/bot")
        fetch(tmp_path, [server.url("pdf/a")], params)
        for visit in server.visits:
            assert visit.headers["user-agent"].startswith("curate/")
            assert visit.headers["user-agent"].endswith("(+https://example.org/bot)")
            assert visit.headers["accept-encoding"] == "identity"
