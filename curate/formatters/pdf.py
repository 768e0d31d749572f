"""The steps that make publishable text of the pages of PDFs, in the order they are used."""

from .pdf_boilerplate import PdfBoilerplate
from .pdf_join import PdfPageJoiner
from .pdf_normalize import PdfNormalizer
from .pdf_page_numbers import PdfPageNumbers
from .pdf_tables import PdfTables

__all__ = ["PdfBoilerplate", "PdfNormalizer", "PdfPageJoiner", "PdfPageNumbers", "PdfTables"]
