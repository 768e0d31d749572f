"""curate: from a raw web crawl to a training-ready dataset.

The names here are what a pipeline file needs; steps and readers are imported from their packages.
"""

from .document import Document
from .pipeline import Pipeline, Resources, Stage
from .steps import Annotator, Drop, Extracted, Extractor, Filter, Formatter, Reader

__version__ = "0.1.0"

__all__ = [
    "Annotator",
    "Document",
    "Drop",
    "Extracted",
    "Extractor",
    "Filter",
    "Formatter",
    "Pipeline",
    "Reader",
    "Resources",
    "Stage",
]
