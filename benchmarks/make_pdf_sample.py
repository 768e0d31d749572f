"""Make `sample_data/pdf` from freely licensed documentation. Same pages in, same bytes out,
but for the encrypted one, whose key is random.

    python benchmarks/make_pdf_sample.py FOLDER [OUT]

FOLDER is as for `make_sample.py`. `crawl-*.warc.gz` holds PDFs as a crawl would, several cut off;
`originals.warc.gz` is what their servers answer when they are asked again. Needs PyMuPDF 1.28.2.
"""

from __future__ import annotations

import html
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymupdf
from make_sample import STARTED, Page, digest, record, source_pages

from curate.extract.html import TrafilaturaExtractor

A4 = pymupdf.Rect(0, 0, 595, 842)
BODY = pymupdf.Rect(60, 70, 535, 780)
COLUMNS = (pymupdf.Rect(50, 70, 285, 780), pymupdf.Rect(310, 70, 545, 780))
STYLE = "body{font-family:serif;font-size:11px;text-align:justify} h1{font-size:18px}"
FONTS = "/usr/share/fonts/truetype/dejavu"  # of Debian's fonts-dejavu-core
ARABIC = "@font-face{font-family:dejavu;src:url(DejaVuSans.ttf)} body,h1,h2,p{font-family:dejavu}"
MIB = 1 << 20
HOST = "https://library.example.org"


SOURCES_TEXT = """# Where the PDFs come from

`benchmarks/make_pdf_sample.py` typesets text of the pages that `../SOURCES.md` lists, which stay
under the licences given there; the table of releases is of our own making. The fonts embedded are
Charis SIL and Noto (SIL Open Font License), Droid Sans Fallback (Apache-2.0) and DejaVu Sans
(Bitstream Vera licence), in subsets.
Addresses, dates and record ids are made up.

`crawl-*.warc.gz` holds, as a crawl would:

| what | PDFs |
|---|---|
| one column, with running header and page numbers; and an exact copy at another address | 2 |
| two columns | 1 |
| a ruled table over two pages | 1 |
| a scan: page images without text | 1 |
| fonts that do not say which letters their glyphs are (no ToUnicode) | 1 |
| Arabic, Persian, Japanese, Chinese, German, French, Russian | 7 |
| encrypted with a password; corrupt; a blank page | 3 |
| an HTML page under an address that ends in .pdf | 1 |
| cut at 1 MiB (`WARC-Truncated: length`): comes back, has moved, is gone (404) | 3 |
| cut for `time`; cut without a mark; cut for `disconnect` and forbidden by robots.txt | 3 |

`originals.warc.gz` holds what the servers answer when they are asked for the cut ones again.
"""


@dataclass(frozen=True)
class Pdf:
    """A response with a PDF, and what its server answers when it is asked again.

    Attributes:
        cut: bytes the crawl kept; 0 for all.
        why: the value of WARC-Truncated.
        again: the second answer: "" for none, "same", "moved" (a redirect first) or "404".
    """

    url: str
    body: bytes
    cut: int = 0
    why: str = ""
    again: str = ""
    content_type: str = "application/pdf"


class Texts:
    """Paragraphs of the documentation pages, by language."""

    def __init__(self, pages: list[Page]) -> None:
        extractor = TrafilaturaExtractor(isolate=False)
        extractor.setup()
        self._left: dict[str, list[list[str]]] = {}
        for page in pages:
            text = extractor.extract(page.body, page.url).text
            lines = [line for line in text.splitlines() if len(line) > 25 or line[:1].isupper()]
            language = page.language.split("-")[0]
            if language in ("ar", "fa", "ja", "ru", "zh"):  # parts may not be translated
                lines = [line for line in lines if _foreign(line) > 0.3]
            self._left.setdefault(language, []).append(lines)
        for left in self._left.values():  # running text first, code and lists of links last
            left.sort(key=lambda lines: -sum(map(len, lines)) / (len(lines) + 1))

    def take(self, language: str, chars: int) -> list[str]:
        """Return a title and paragraphs of that many characters or a few more."""
        lines: list[str] = []
        while sum(map(len, lines)) < chars and self._left[language]:
            page = self._left[language].pop(0)
            for line in page:
                lines.append(line)
                if sum(map(len, lines)) >= chars:
                    break
        return lines


def _foreign(line: str) -> float:
    return sum(not char.isascii() for char in line) / len(line)


def markup(lines: list[str], direction: str = "ltr") -> str:
    """Return HTML of lines: the first is the title, short ones without a full stop are headings."""
    parts = [f"<h1>{html.escape(lines[0])}</h1>"]
    for line in lines[1:]:
        tag = "h2" if len(line) < 60 and line[-1:].isalpha() else "p"
        parts.append(f'<{tag} dir="{direction}">{html.escape(line)}</{tag}>')
    return f'<body dir="{direction}">{"".join(parts)}</body>'


def typeset(
    content: str, boxes: tuple[pymupdf.Rect, ...] = (BODY,), running: str = ""
) -> pymupdf.Document:
    """Set HTML in the boxes of as many pages as it takes, with header and page number."""
    style = STYLE + ARABIC if 'dir="rtl"' in content else STYLE
    story = pymupdf.Story(content, user_css=style, archive=pymupdf.Archive(FONTS))
    target = Path(f"/tmp/{uuid.uuid4()}.pdf")
    writer = pymupdf.DocumentWriter(str(target), "compress")
    more = True
    while more:
        device = writer.begin_page(A4)
        for box in boxes:
            if more:
                more, _ = story.place(box)
                story.draw(device)
        writer.end_page()
    writer.close()
    doc = pymupdf.open("pdf", target.read_bytes())
    target.unlink()
    if running:
        for number, page in enumerate(doc):
            page.insert_text((60, 45), running, fontsize=9)
            page.insert_text((290, 815), f"{number + 1}", fontsize=9)
    return doc


def saved(doc: pymupdf.Document, **options: Any) -> bytes:
    """Return the file's bytes, without ids and dates."""
    doc.set_metadata({})
    doc.subset_fonts()
    return bytes(doc.tobytes(garbage=3, deflate=True, no_new_id=True, **options))


def scanned(doc: pymupdf.Document, pages: int, dpi: int = 110) -> pymupdf.Document:
    """Return the first pages as grey images, as from a scanner."""
    scan = pymupdf.open()
    for page in list(doc)[:pages]:
        image = page.get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY)
        scan.new_page(width=A4.width, height=A4.height).insert_image(
            A4, stream=image.tobytes("jpeg", jpg_quality=45)
        )
    return scan


def without_unicode(doc: pymupdf.Document) -> pymupdf.Document:
    """Return the document with fonts that do not say which letters their glyphs are."""
    for xref in range(1, doc.xref_length()):
        if doc.xref_get_key(xref, "ToUnicode")[0] == "xref":
            doc.xref_set_key(xref, "ToUnicode", "null")
    return doc


def with_large_image(lines: list[str], shade: int) -> bytes:
    """Return a PDF of more than 1 MiB that packs well: its text, and a plain picture unpacked."""
    doc = typeset(markup(lines), running=lines[0][:60])
    page = doc.new_page(0, width=A4.width, height=A4.height)
    page.insert_text((60, 60), lines[0][:70], fontsize=16)
    picture = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 640, 600))
    picture.set_rect(picture.irect, (shade, 90, 160))
    page.insert_image(pymupdf.Rect(100, 200, 500, 575), pixmap=picture)
    doc = pymupdf.open("pdf", saved(doc))
    image = doc[0].get_images()[0][0]
    doc.update_stream(image, bytes(picture.samples), compress=False)
    return bytes(doc.tobytes(no_new_id=True))


def table(rows: list[tuple[str, ...]]) -> str:
    """Return an HTML table with ruled cells."""
    cell = 'style="border:1px solid black;padding:3px"'
    body = "".join(
        f"<tr>{''.join(f'<td {cell}>{html.escape(text)}</td>' for text in row)}</tr>"
        for row in rows
    )
    return f'<table style="border-collapse:collapse">{body}</table>'


RELEASES: list[tuple[str, ...]] = [
    ("Release", "Code name", "Published", "Architectures"),
    ("3.1", "Sarge", "June 2005", "11"),
    ("4.0", "Etch", "April 2007", "11"),
    ("5.0", "Lenny", "February 2009", "12"),
    ("6.0", "Squeeze", "February 2011", "9"),
    ("7", "Wheezy", "May 2013", "13"),
    ("8", "Jessie", "April 2015", "10"),
    ("9", "Stretch", "June 2017", "10"),
    ("10", "Buster", "July 2019", "10"),
]


def crawled(texts: Texts) -> Iterator[Pdf]:
    """Yield the PDFs of the sample, one of each kind."""
    one = typeset(markup(texts.take("en", 11_000)), running="Collected documentation, volume 1")
    born = saved(one)
    yield Pdf(f"{HOST}/guides/one-column.pdf", born)
    yield Pdf("https://mirror.example.net/copy-of-one-column.pdf", born)
    yield Pdf(
        f"{HOST}/guides/two-columns.pdf",
        saved(typeset(markup(texts.take("en", 14_000)), COLUMNS, "Collected documentation, 2")),
    )
    lines = texts.take("en", 3_000)
    middle = len(lines) // 2
    content = markup(lines[:middle]) + table(RELEASES) + markup(lines[middle:])
    yield Pdf(f"{HOST}/reports/releases", saved(typeset(content, running="Releases")))
    yield Pdf(
        f"{HOST}/scans/letter.pdf", saved(scanned(typeset(markup(texts.take("en", 4_500))), 2))
    )
    broken = pymupdf.open("pdf", saved(typeset(markup(texts.take("en", 4_000)))))
    yield Pdf(f"{HOST}/odd/fonts.pdf", saved(without_unicode(broken)))
    for language, direction in (("ar", "rtl"), ("fa", "rtl"), ("ja", "ltr"), ("zh", "ltr")):
        lines = texts.take(language, 2_500)
        yield Pdf(f"{HOST}/{language}/book.pdf", saved(typeset(markup(lines, direction))))
    for language in ("de", "fr", "ru"):
        content = markup(texts.take(language, 5_000))
        yield Pdf(f"{HOST}/{language}/handbuch.pdf", saved(typeset(content, running="Debian")))
    secret = typeset(markup(texts.take("en", 1_500)))
    keys = {"encryption": pymupdf.PDF_ENCRYPT_RC4_128, "user_pw": "sesame", "owner_pw": "open"}
    yield Pdf(f"{HOST}/members/minutes.pdf", saved(secret, **keys))
    yield Pdf(f"{HOST}/odd/corrupt.pdf", born[:64] + b"\0" * 4_000 + b"\n%%EOF\n")
    blank = pymupdf.open()
    blank.new_page()
    yield Pdf(f"{HOST}/odd/blank.pdf", saved(blank))
    page = b"<!doctype html><title>Sign in</title><p>Please sign in to read this document."
    yield Pdf(f"{HOST}/members/report.pdf", page, content_type="text/html")

    kept = with_large_image(texts.take("en", 6_000), 40)
    yield Pdf(f"{HOST}/large/kept.pdf", kept, MIB, "length", "same")
    moved = with_large_image(texts.take("en", 6_000), 80)
    yield Pdf(f"{HOST}/large/moved.pdf", moved, MIB, "length", "moved")
    gone = with_large_image(texts.take("en", 3_000), 120)
    yield Pdf(f"{HOST}/large/gone.pdf", gone, MIB, "length", "404")
    slow = saved(typeset(markup(texts.take("en", 7_000)), running="Slow line"))
    yield Pdf(f"{HOST}/slow/line.pdf", slow, len(slow) // 2, "time", "same")
    unmarked = saved(typeset(markup(texts.take("en", 7_000)), running="Lost connection"))
    yield Pdf(f"{HOST}/slow/lost.pdf", unmarked, len(unmarked) * 2 // 3, "", "same")
    private = saved(typeset(markup(texts.take("en", 4_000)), running="Not for robots"))
    yield Pdf(f"{HOST}/private/paper.pdf", private, len(private) // 2, "disconnect", "same")


def response(pdf: Pdf, body: bytes, status: str, date: str, fields: dict[str, str]) -> bytes:
    """Return a response record."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {pdf.content_type}\r\n"
    if "Location" in fields:
        head += f"Location: {fields.pop('Location')}\r\n"
    block = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    return record(
        "response",
        f"{pdf.url}/{status}/{len(body)}",
        date,
        block,
        {
            "WARC-Target-URI": pdf.url,
            "Content-Type": "application/http; msgtype=response",
            "WARC-Payload-Digest": digest(body),
            "WARC-Block-Digest": digest(block),
            **fields,
        },
    )


def write(pdfs: list[Pdf], out: Path) -> None:
    """Write the crawl to two files, and the second answers to a third."""
    info = {"Content-Type": "application/warc-fields"}
    facts = b"software: benchmarks/make_pdf_sample.py\r\nformat: WARC File Format 1.0\r\n"
    parts: dict[str, list[bytes]] = {}
    for name in ("crawl-00000.warc.gz", "crawl-00001.warc.gz", "originals.warc.gz"):
        date = STARTED.strftime("%Y-%m-%dT%H:%M:%SZ")
        parts[name] = [record("warcinfo", f"pdf/{name}", date, facts, info)]
    for number, pdf in enumerate(pdfs):
        moment = STARTED + timedelta(seconds=11 * number)
        date = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        fields = {"WARC-Truncated": pdf.why}
        if pdf.content_type == "application/pdf":
            fields["WARC-Identified-Payload-Type"] = pdf.content_type
        body = pdf.body[: pdf.cut] if pdf.cut else pdf.body
        member = response(pdf, body, "200 OK", date, fields)
        parts[f"crawl-{number % 2:05}.warc.gz"].append(member)
        parts["originals.warc.gz"].extend(again(pdf, date))
    robots = Pdf(f"{HOST}/robots.txt", b"User-agent: *\nDisallow: /private/\n")
    robots = replace(robots, content_type="text/plain")
    parts["originals.warc.gz"].append(response(robots, robots.body, "200 OK", date, {}))
    for name, members in parts.items():
        (out / name).write_bytes(b"".join(members))


def again(pdf: Pdf, date: str) -> Iterator[bytes]:
    """Yield what the server answers when it is asked again."""
    if pdf.again == "404":
        missing = replace(pdf, content_type="text/html")
        yield response(missing, b"<h1>Not found</h1>", "404 Not Found", date, {})
    elif pdf.again == "moved":
        new = pdf.url.replace("/large/", "/archive/")
        yield response(pdf, b"", "301 Moved Permanently", date, {"Location": new})
        yield response(replace(pdf, url=new), pdf.body, "200 OK", date, {})
    elif pdf.again:
        yield response(pdf, pdf.body, "200 OK", date, {})


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    out = Path(sys.argv[2]) if len(sys.argv) == 3 else Path("sample_data")
    (out / "pdf").mkdir(parents=True, exist_ok=True)
    pdfs = list(crawled(Texts(source_pages(Path(sys.argv[1])))))
    write(pdfs, out / "pdf")
    (out / "pdf" / "SOURCES.md").write_text(SOURCES_TEXT, encoding="utf-8")
    for pdf in pdfs:
        print(f"{len(pdf.body):>9,} {pdf.cut or '':>9} {pdf.why:10} {pdf.again:6} {pdf.url}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
