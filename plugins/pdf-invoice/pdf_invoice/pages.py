"""The pages of an invoice, in the fonts that each reader of PDF has."""

import io
import textwrap
from dataclasses import dataclass
from decimal import Decimal

import pydyf

# A4 in points.
WIDTH, HEIGHT, MARGIN = 595, 842, 56
BOTTOM = 110
LINE = 14
SIZE = 10
# Each character of Courier has this width.
CHARACTER = 6
TEXT_CHARACTERS = 42
# Right edges of the columns of numbers.
QUANTITY, PRICE, TOTAL = 380, 460, WIDTH - MARGIN
PLAIN, BOLD, TITLE = "F1", "F2", "F3"
FONTS = {PLAIN: "Courier", BOLD: "Courier-Bold", TITLE: "Helvetica-Bold"}


@dataclass(frozen=True)
class Item:
    """A line of an invoice."""

    text: str
    quantity: Decimal
    price: Decimal
    total: Decimal


@dataclass(frozen=True)
class Invoice:
    """The content of an invoice."""

    seller: tuple[str, ...]
    buyer: tuple[str, ...]
    number: str
    date: str
    items: tuple[Item, ...]
    sums: tuple[tuple[str, Decimal], ...]
    currency: str
    footer: str


def written(invoice: Invoice) -> tuple[bytes, int]:
    """Return the file and the count of its pages. Raises UnicodeEncodeError."""
    pages = _Pages()
    pages.text(MARGIN, f"Invoice {invoice.number}", TITLE, 18)
    pages.down(2)
    pages.right(TOTAL, invoice.date)
    for line in invoice.seller:
        pages.text(MARGIN, line)
        pages.down()
    pages.down()
    for line in invoice.buyer:
        pages.text(MARGIN, line)
        pages.down()
    pages.down()
    _table(pages, invoice)
    for line in textwrap.wrap(invoice.footer, 80):
        pages.text(MARGIN, line)
        pages.down()
    return pages.file(f"Invoice {invoice.number}"), len(pages.streams)


def _table(pages: "_Pages", invoice: Invoice) -> None:
    pages.text(MARGIN, "Item", BOLD)
    for edge, head in ((QUANTITY, "Quantity"), (PRICE, "Price"), (TOTAL, invoice.currency)):
        pages.right(edge, head, BOLD)
    pages.rule()
    for item in invoice.items:
        first, *rest = textwrap.wrap(item.text, TEXT_CHARACTERS) or [""]
        pages.room(1 + len(rest))
        pages.text(MARGIN, first)
        pages.right(QUANTITY, f"{item.quantity.normalize():f}")
        pages.right(PRICE, f"{item.price:,.2f}")
        pages.right(TOTAL, f"{item.total:,.2f}")
        pages.down()
        for line in rest:
            pages.text(MARGIN, line)
            pages.down()
    pages.room(len(invoice.sums) + 2)
    pages.rule()
    for title, value in invoice.sums:
        pages.right(PRICE, title, BOLD)
        pages.right(TOTAL, f"{value:,.2f}", BOLD)
        pages.down()
    pages.down()


class _Pages:
    """Lines from top to bottom, on as many pages as they need."""

    def __init__(self) -> None:
        self.streams: list[pydyf.Stream] = []
        self._next()

    def _next(self) -> None:
        self.streams.append(pydyf.Stream(compress=True))
        self._y = HEIGHT - MARGIN - 18

    def room(self, lines: int) -> None:
        """Begin a page unless this one has room for so many lines."""
        if self._y - lines * LINE < BOTTOM:
            self._next()

    def down(self, lines: int = 1) -> None:
        self._y -= lines * LINE
        self.room(0)

    def text(self, x: float, text: str, font: str = PLAIN, size: int = SIZE) -> None:
        stream = self.streams[-1]
        stream.begin_text()
        stream.set_font_size(font, size)
        stream.set_text_matrix(1, 0, 0, 1, x, self._y)
        # A string of bytes in the encoding of the font.
        stream.stream.append(f"<{text.encode('cp1252').hex()}> Tj")
        stream.end_text()

    def right(self, edge: float, text: str, font: str = PLAIN) -> None:
        """Write a text that ends at an edge."""
        self.text(edge - CHARACTER * len(text), text, font)

    def rule(self) -> None:
        """Draw a line across the page, below the line of text."""
        stream = self.streams[-1]
        stream.set_line_width(0.5)
        stream.move_to(MARGIN, self._y - 4)
        stream.line_to(WIDTH - MARGIN, self._y - 4)
        stream.stroke()
        self.down()

    def file(self, title: str) -> bytes:
        document = pydyf.PDF()
        document.info["Title"] = pydyf.String(title)
        fonts = pydyf.Dictionary()
        for name, base in FONTS.items():
            font = {"Type": "/Font", "Subtype": "/Type1", "BaseFont": f"/{base}"}
            made = pydyf.Dictionary({**font, "Encoding": "/WinAnsiEncoding"})
            document.add_object(made)
            fonts[name] = made.reference
        for stream in self.streams:
            document.add_object(stream)
            page = {
                "Type": "/Page",
                "Parent": document.pages.reference,
                "MediaBox": pydyf.Array([0, 0, WIDTH, HEIGHT]),
                "Resources": pydyf.Dictionary({"Font": fonts}),
                "Contents": stream.reference,
            }
            document.add_page(pydyf.Dictionary(page))
        buffer = io.BytesIO()
        document.write(buffer)
        return buffer.getvalue()
