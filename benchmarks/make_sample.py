"""Make `sample_data/warc` from freely licensed documentation pages. Same pages in, same bytes out.

    python benchmarks/make_sample.py FOLDER [OUT]

FOLDER holds `free-pages.warc.gz` and `free-pages.jsonl` (url, source, licence, language). The
sample is laid out like a crawl of Common Crawl and holds on purpose what a crawl holds by accident;
OUT/SOURCES.md lists it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import struct
import sys
import uuid
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from curate.readers.charset import decode
from curate.readers.warc import WarcReader

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "curate.sample")
STARTED = datetime(2024, 3, 1, 6, 0, 0, tzinfo=timezone.utc)
NUM_FILES = 3
MAX_PAGE_BYTES = 40_000
# Source: pages in English, pages in other languages, how the licence is chosen and who is named.
SOURCES = {
    "sqlite-docs": (45, 0, "public domain", "SQLite documentation, sqlite.org"),
    "postgresql-docs": (40, 0, "PostgreSQL", "PostgreSQL Global Development Group"),
    "python-docs": (16, 0, "PSF-2.0; code examples also 0BSD", "Python Software Foundation"),
    "apache-httpd-docs": (60, 40, "Apache-2.0", "The Apache Software Foundation"),
    "libreoffice-help": (50, 34, "MPL-2.0", "LibreOffice contributors, The Document Foundation"),
    "debian-handbook": (
        60,
        40,
        "CC-BY-SA-3.0 (offered as GPL-2.0-or-later or CC-BY-SA-3.0)",
        "The Debian Administrator's Handbook, Raphaël Hertzog, Roland Mas and translators",
    ),
}
REVISIONS = (
    "This paragraph was reviewed for the current edition.",
    "Readers of earlier editions will notice that the wording has changed a little.",
    "See the index for related topics.",
    "The example that follows assumes a default installation.",
)
# Of these the URL filter drops the first two for a word, the third for two softer ones.
UNWANTED_URLS = (
    "https://pharmacy.example.com/viagra-side-effects.html",
    "https://www.example.net/forum/viagra/thread-17.html",
    "https://shop.example.org/lingerie/webcam/index.html",
)


@dataclass(frozen=True)
class Page:
    """A response to be written."""

    url: str
    body: bytes
    source: str = ""
    language: str = "en"
    status: str = "200 OK"
    content_type: str = "text/html"
    identified: str = "text/html"
    codings: tuple[str, ...] = ()
    damaged: bool = False


def source_pages(folder: Path) -> list[Page]:
    """Return the pages to take, in an order that does not depend on the files'."""
    facts = {}
    for line in (folder / "free-pages.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        facts[row["url"]] = row
    pages = []
    path = folder / "free-pages.warc.gz"
    with path.open("rb") as stream:
        for doc, fate in WarcReader(str(path)).read(str(path), stream):
            row = facts[doc.metadata["url"]]
            fits = fate is None and 1_500 <= len(doc.payload or b"") <= MAX_PAGE_BYTES
            if fits and row["source"] in SOURCES:
                pages.append(Page(row["url"], doc.payload or b"", row["source"], row["language"]))
    pages.sort(key=lambda page: hashlib.sha1(page.url.encode()).digest())
    left = {name: list(limits[:2]) for name, limits in SOURCES.items()}
    taken = []
    for page in pages:
        other = 0 if page.language.startswith("en") else 1
        if left[page.source][other]:
            left[page.source][other] -= 1
            taken.append(page)
    return taken


def revised(page: Page, edition: int) -> Page:
    """Return the page with a few sentences added, under another address."""
    body = page.body
    ends = [found.start() for found in re.finditer(rb"</p>", body)]
    for at in reversed(ends[edition::4][:3]):
        body = body[:at] + b" " + REVISIONS[edition].encode() + body[at:]
    return replace(page, url=f"{page.url}?edition={edition + 2}", body=body)


def accented(body: bytes) -> str:
    """Return the characters that are not ASCII."""
    return "".join(char for char in decode(body, "utf-8") if not char.isascii())


def in_charset(page: Page, charset: str) -> Page:
    """Return the page in another charset, which HTTP declares and the page does not."""
    text = re.sub(r"(?i)\s*(;\s*)?charset=[\"']?utf-8[\"']?", "", decode(page.body, "utf-8"))
    text = re.sub(r"(?i)\s*encoding=[\"']utf-8[\"']", "", text)
    body = text.encode(charset, "xmlcharrefreplace")
    return replace(page, body=body, content_type=f"text/html; charset={charset}")


def odd_pages(pages: list[Page]) -> Iterator[Page]:
    """Yield what the sample holds on purpose beside plain pages."""
    long = [page for page in pages if page.body.count(b"</p>") >= 16 and page.language[:2] == "en"]
    free = [page for page in long if page.source in ("sqlite-docs", "postgresql-docs")]
    for number, page in enumerate(free[:2]):
        for edition in range(3):
            yield revised(page, edition + number % 2)
    for page in free[2:4]:
        yield replace(page, url=page.url.replace("https://", "https://mirror.example.org/"))
    for url, page in zip(UNWANTED_URLS, free[4:], strict=False):
        yield replace(page, url=url)
    by_language = {page.language[:2]: page for page in pages if len(accented(page.body)) > 20}
    for language, charset in (("de", "iso-8859-1"), ("ja", "shift_jis"), ("ru", "windows-1251")):
        yield replace(
            in_charset(by_language[language], charset), url=f"https://{language}.example.org/"
        )
    packed = replace(free[7], url="https://packed.example.org/")
    yield replace(packed, codings=("gzip", "chunked"))
    yield replace(free[8], url="https://damaged.example.org/", damaged=True)
    yield replace(free[9], url="")
    robots = b"User-agent: *\nDisallow: /search\n"
    plain = Page("https://www.example.org/robots.txt", robots)
    yield replace(plain, content_type="text/plain", identified="text/plain")
    image = Page("https://www.example.org/dot.png", png())
    yield replace(image, content_type="image/png", identified="image/png")
    yield Page("https://www.example.org/gone", b"<h1>Not here</h1>", status="404 Not Found")
    yield Page("https://www.example.org/empty", b"")


def png() -> bytes:
    """Return an image of one grey dot."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\x80")),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()


def record(kind: str, name: str, date: str, block: bytes, fields: dict[str, str]) -> bytes:
    """Return one record as a gzip member."""
    head = {
        "WARC-Type": kind,
        "WARC-Date": date,
        "WARC-Record-ID": f"<urn:uuid:{uuid.uuid5(NAMESPACE, name)}>",
        "Content-Length": str(len(block)),
        **fields,
    }
    lines = "".join(f"{key}: {value}\r\n" for key, value in head.items() if value)
    data = b"WARC/1.0\r\n" + lines.encode() + b"\r\n" + block + b"\r\n\r\n"
    return gzip.compress(data, 9, mtime=0)


def page_records(page: Page, name: str, date: str, info: str) -> Iterator[bytes]:
    """Yield the records Common Crawl writes for a page: request, response, metadata."""
    target = {"WARC-Target-URI": page.url, "WARC-Warcinfo-ID": info}
    host, _, path = (page.url or "https://nowhere.example.org/").split("://", 1)[1].partition("/")
    request = f"GET /{path} HTTP/1.1\r\nUser-Agent: sample/1.0\r\nHost: {host}\r\n\r\n"
    typed = {"Content-Type": "application/http; msgtype=request"}
    yield record("request", f"{name}/request", date, request.encode(), {**typed, **target})
    body = page.body
    headers = [f"HTTP/1.1 {page.status}", f"Content-Type: {page.content_type}"]
    if "gzip" in page.codings:
        body = gzip.compress(body, 9, mtime=0)
        headers.append("Content-Encoding: gzip")
    if "chunked" in page.codings:
        parts = [body[at : at + 1000] for at in range(0, len(body), 1000)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        headers.append("Transfer-Encoding: chunked")
    else:
        headers.append(f"Content-Length: {len(body)}")
    block = "\r\n".join([*headers, "", ""]).encode() + body
    member = record(
        "response",
        f"{name}/response",
        date,
        block,
        {
            "Content-Type": "application/http; msgtype=response",
            "WARC-Identified-Payload-Type": page.identified,
            "WARC-Payload-Digest": digest(body),
            "WARC-Block-Digest": digest(block),
            **target,
        },
    )
    if page.damaged:
        middle = len(member) // 2
        member = (
            member[:middle]
            + bytes(byte ^ 0xFF for byte in member[middle:][:64])
            + member[middle + 64 :]
        )
    yield member
    facts = f"fetchTimeMs: 100\r\nlanguage: {page.language}\r\n"
    typed = {"Content-Type": "application/warc-fields"}
    yield record("metadata", f"{name}/metadata", date, facts.encode(), {**typed, **target})


def write_sample(pages: list[Page], out: Path) -> None:
    """Write the pages to NUM_FILES files, in an order that mixes sources and languages."""
    pages = sorted(pages, key=lambda page: hashlib.sha1(page.url.encode() + page.body).digest())
    for number in range(NUM_FILES):
        name = f"sample-{number:05}.warc.gz"
        date = STARTED.strftime("%Y-%m-%dT%H:%M:%SZ")
        facts = b"software: benchmarks/make_sample.py\r\nformat: WARC File Format 1.0\r\n"
        typed = {"Content-Type": "application/warc-fields", "WARC-Filename": name}
        parts = [record("warcinfo", name, date, facts, typed)]
        info = f"<urn:uuid:{uuid.uuid5(NAMESPACE, name)}>"
        for index, page in enumerate(pages[number::NUM_FILES]):
            moment = STARTED + timedelta(seconds=7 * (NUM_FILES * index + number))
            date = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
            parts.extend(page_records(page, f"{name}/{index}", date, info))
        (out / name).write_bytes(b"".join(parts))


def sources_text(plain: list[Page], odd: list[Page]) -> str:
    """Return SOURCES.md."""
    counts = Counter(page.source for page in plain)
    languages = {page.language.split("-")[0] for page in plain}
    english = sum(page.language.startswith("en") for page in plain)
    rows = "\n".join(
        f"| {name} | {author} | {licence} | {counts[name]} |"
        for name, (_, _, licence, author) in SOURCES.items()
    )
    revisions = sum("?edition=" in page.url for page in odd)
    return f"""# Where the sample comes from

`warc/` holds {len(plain)} pages of free documentation in {len(languages)} languages, {english} of
them in English, as published by their projects, and {len(odd)} records altered or made up.
`benchmarks/make_sample.py` makes it. The pages stay under their own licences, whatever the licence
of this repository; the altered ones are derived from the SQLite and PostgreSQL documentation, and
those in other charsets from the page in that language.

| source | by | licence | pages |
|---|---|---|---|
{rows}

Dates, record ids and HTTP headers are made up; ids and bytes are the same each time it is made.

Altered or made up on purpose:

| what | records |
|---|---|
| revisions of two pages, a few sentences added (`?edition=`) | {revisions} |
| exact copies of two pages under another address (`mirror.example.org`) | 2 |
| pages under made-up addresses that the URL filter drops | {len(UNWANTED_URLS)} |
| pages in ISO-8859-1, Shift_JIS and windows-1251 | 3 |
| a page sent chunked and gzipped (`packed.example.org`) | 1 |
| a record whose gzip member is damaged (`damaged.example.org`) | 1 |
| a record without WARC-Target-URI | 1 |
| a text file and an image | 2 |
| a page with status 404 and one with an empty body | 2 |
"""


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    out = Path(sys.argv[2]) if len(sys.argv) == 3 else Path("sample_data")
    (out / "warc").mkdir(parents=True, exist_ok=True)
    plain = source_pages(Path(sys.argv[1]))
    odd = list(odd_pages(plain))
    write_sample(plain + odd, out / "warc")
    (out / "SOURCES.md").write_text(sources_text(plain, odd), encoding="utf-8")
    print(f"{len(plain)} pages and {len(odd)} odd records written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
