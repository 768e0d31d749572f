"""PDFs that are made of known text and known tables, for benchmarks/pdf.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pdf_scores import Table

_BEGINNINGS, _ENDINGS = "bcdfglmnprstvwz", ("a", "e", "i", "o", "an", "er", "is", "or", "ul")
_WIDTH, _HEIGHT, _MARGIN = 595.0, 842.0, 60.0
_SIZE, _LEADING = 10.0, 13.0


@dataclass
class Made:
    """A PDF and what it says.

    Attributes:
        text: its words in reading order, without running headers and page numbers.
    """

    name: str
    payload: bytes
    text: str
    tables: list[Table] = field(default_factory=list)


def documents(copies: int = 5) -> Iterator[Made]:
    """Yield documents of each kind; the same ones in every run."""
    kinds = {
        "one column, ruled tables": ("one", True),
        "one column, borderless tables": ("one", False),
        "two columns, ruled tables": ("two", True),
        "two columns, borderless tables": ("two", False),
        "two columns, drawn line by line across": ("two", False),
    }
    for name, (columns, ruled) in kinds.items():
        for copy in range(copies):
            maker = _Maker(Random(f"{name} {copy}"), name, columns == "two", ruled)
            yield maker.make(across=name.endswith("across"))


class _Maker:
    def __init__(self, random: Random, name: str, two_columns: bool, ruled: bool) -> None:
        import pymupdf

        self._random = random
        self._name = name
        self._ruled = ruled
        self._pdf: Any = pymupdf.open()
        fonts = {name: pymupdf.Font(name) for name in ("helv", "hebo")}
        self._widths = {
            name: {chr(code): font.glyph_advance(code) for code in (*range(32, 127), 0x2022)}
            for name, font in fonts.items()
        }
        self._said: list[str] = []
        self._tables: list[Table] = []
        middle = _WIDTH / 2
        self._columns = [(_MARGIN, _WIDTH - _MARGIN)]
        if two_columns:
            self._columns = [(_MARGIN - 15, middle - 10), (middle + 10, _WIDTH - _MARGIN + 15)]
        self._drawn: list[tuple[int, tuple[float, float], str, float, str]] = []
        self._column = len(self._columns)
        self._y = 0.0

    def make(self, across: bool) -> Made:
        """Draw a few pages of sections, in reading order or in that of the lines of the page."""
        for section in range(1, 7):
            self._heading(f"{section}. {self._sentence(3).rstrip('.')}")
            for _ in range(self._random.randint(1, 3)):
                self._paragraph(
                    " ".join(self._sentence() for _ in range(self._random.randint(3, 7)))
                )
            if section % 2:
                self._table()
            else:
                self._list()
        if across:
            self._drawn.sort(key=lambda drawn: (drawn[0], drawn[1][1], drawn[1][0]))
        for number, page in enumerate(self._pdf):
            shape = page.new_shape()
            for _, point, text, size, font in (d for d in self._drawn if d[0] == number):
                shape.insert_text(point, text, fontsize=size, fontname=font)
            shape.commit()
        return Made(self._name, self._pdf.tobytes(), "\n".join(self._said), self._tables)

    def _word(self) -> str:
        choice = self._random.choice
        syllables = range(self._random.randint(1, 4))
        return "".join(choice(_BEGINNINGS) + choice(_ENDINGS) for _ in syllables)

    def _sentence(self, num_words: int = 0) -> str:
        count = num_words or self._random.randint(6, 18)
        return " ".join(self._word() for _ in range(count)).capitalize() + "."

    def _room(self, height: float) -> tuple[float, float]:
        """Return the edges of a column that has room, and go to the next one where needed."""
        if self._column == len(self._columns) or self._y + height > _HEIGHT - _MARGIN:
            self._column += 1
            self._y = _MARGIN
            if self._column >= len(self._columns):
                self._column = 0
                self._page = self._pdf.new_page(width=_WIDTH, height=_HEIGHT)
                self._draw(_MARGIN, 35, "Annals of made text, volume 7", 8)
                self._draw(_WIDTH / 2, _HEIGHT - 25, str(self._pdf.page_count), 8)
        return self._columns[self._column]

    def _draw(self, x: float, y: float, text: str, size: float = _SIZE, font: str = "helv") -> None:
        self._drawn.append((self._pdf.page_count - 1, (x, y), text, size, font))

    def _length(self, text: str, size: float = _SIZE, font: str = "helv") -> float:
        widths = self._widths[font]
        return size * float(sum(widths[char] for char in text))

    def _heading(self, text: str) -> None:
        x0, _ = self._room(4 * _LEADING)
        self._y += 2 * _LEADING
        self._draw(x0, self._y, text, 14, "hebo")
        self._y += 0.5 * _LEADING
        self._said.append(text)

    def _paragraph(self, text: str, indent: float = 0.0, mark: str = "") -> None:
        self._said.append(f"{mark} {text}".strip())
        self._y += 0.6 * _LEADING
        rest = text.split()
        while rest:
            x0, x1 = self._room(_LEADING)
            line, rest = self._broken(rest, x1 - x0 - indent, hyphenate=True)
            self._y += _LEADING
            if mark:
                self._draw(x0, self._y, mark)
                mark = ""
            self._draw(x0 + indent, self._y, line)

    def _broken(
        self, words: Sequence[str], width: float, hyphenate: bool = False
    ) -> tuple[str, list[str]]:
        """Return a line that fits, and the words that are left."""
        for count in range(len(words), 0, -1):
            line = " ".join(words[:count])
            if self._length(line) > width and count > 1:
                continue
            rest = list(words[count:])
            if hyphenate and rest and len(rest[0]) > 6 and rest[0].isalpha():
                half = len(rest[0]) // 2
                longer = f"{line} {rest[0][:half]}-"
                if self._length(longer) <= width:
                    return longer, [rest[0][half:], *rest[1:]]
            return line, rest
        return "", []

    def _list(self) -> None:
        for _ in range(self._random.randint(3, 5)):
            self._paragraph(self._sentence(), indent=12, mark="•")

    def _table(self) -> None:
        x0, x1 = self._room(15 * _LEADING)
        wide = x1 - x0 > 300
        num_columns = self._random.randint(3, 5) if wide else 3
        table = [[self._word() for _ in range(num_columns)]]
        for _ in range(self._random.randint(4, 7)):
            label = " ".join(self._word() for _ in range(self._random.randint(1, 4)))
            numbers = [f"{self._random.randint(1, 99999):,}" for _ in range(num_columns - 1)]
            table.append([label, *numbers])
        self._tables.append(table)
        self._y += 1.5 * _LEADING
        step = (x1 - x0) / (num_columns + 1)
        lefts = [x0, *(x0 + step * (i + 2) for i in range(num_columns - 1)), x1]
        tops = [self._y]
        for row in table:
            self._said.append(" ".join(row))
            lines = 1
            for i, cell in enumerate(row):
                rest, y = cell.split(), self._y + _LEADING
                while rest:
                    line, rest = self._broken(rest, lefts[i + 1] - lefts[i] - 8)
                    self._draw(lefts[i] + 4, y, line)
                    y += _LEADING
                lines = max(lines, round((y - self._y) / _LEADING) - 1)
            self._y += lines * _LEADING + 4
            tops.append(self._y)
        if self._ruled:
            for top in tops:
                self._page.draw_line((x0, top), (x1, top), width=0.5)
            for left in lefts:
                self._page.draw_line((left, tops[0]), (left, tops[-1]), width=0.5)
