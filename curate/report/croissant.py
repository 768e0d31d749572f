"""Croissant metadata: dataset/croissant.json, which says to programs what the card says to people.

Croissant 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html; mlcroissant reads the
dataset by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ..manifest import FileInfo

TERMS = "https://commoncrawl.org/terms-of-use"
_TYPES = {"string": "sc:Text", "int64": "sc:Integer", "double": "sc:Float", "bool": "sc:Boolean"}
_KEYS = (
    *("arrayShape", "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject"),
    *("fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath"),
    *("key", "md5", "parentField", "path", "recordSet", "references", "regex", "repeated"),
    *("replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{key: f"cr:{key}" for key in _KEYS},
}


def croissant(
    name: str, description: str, columns: Mapping[str, str], files: Sequence[FileInfo]
) -> dict[str, Any]:
    """Return the metadata as JSON-LD.

    Args:
        name: of the dataset.
        description: a sentence or two.
        columns: published columns, name to type.
        files: the published files, with paths that begin with `dataset/`.
    """
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        "license": TERMS,
        "distribution": [*map(_file_object, files), _file_set(files)],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "documents",
                "name": "documents",
                "field": [_field(column, kind) for column, kind in columns.items()],
            }
        ],
    }


def _file_object(file: FileInfo) -> dict[str, Any]:
    path = file.name.removeprefix("dataset/")
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": PurePosixPath(path).name,
        "contentUrl": path,
        "contentSize": f"{file.bytes} B",
        "encodingFormat": "application/x-parquet",
        "sha256": file.sha256,
    }


def _file_set(files: Sequence[FileInfo]) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": "parquet-files",
        "name": "parquet-files",
        "encodingFormat": "application/x-parquet",
        "includes": sorted({f"{PurePosixPath(f.name).parent}/*.parquet"[8:] for f in files}),
    }


def _field(column: str, kind: str) -> dict[str, Any]:
    inner = kind.removeprefix("list<").removesuffix(">")
    array = {"isArray": True, "arrayShape": "-1"} if inner != kind else {}
    return {
        "@type": "cr:Field",
        "@id": f"documents/{column}",
        "name": column,
        "dataType": _TYPES[inner],
        **array,
        "source": {"fileSet": {"@id": "parquet-files"}, "extract": {"column": column}},
    }
