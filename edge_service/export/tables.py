"""CSV by RFC 4180, hashed as it is written: the whole file, and each day of it."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from edge_service.export.columns import Column
from edge_service.export.rows import Values


@dataclass(frozen=True, slots=True)
class Written:
    """A file of an export as its manifest tells it."""

    name: str
    rows: int
    bytes: int
    sha256: str


class Table(Protocol):
    """A file of rows, day by day."""

    def add(self, rows: Sequence[Values], text: str) -> None: ...

    def close(self) -> Written: ...


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Lines ended by CRLF; empty: not known. Numbers in plain decimal: ours are rounded far above 1e-4."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def day_hash(text: str) -> str:
    """Of a day's lines, without the head."""
    return sha256(text.encode()).hexdigest()


class CsvTable:
    """Written to ``path`` as it comes."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._path, self._rows, self._bytes, self._hash = path, 0, 0, sha256()
        self._file: BinaryIO = path.open("xb")
        self._write(csv_text([[column.name for column in columns]]))

    def add(self, rows: Sequence[Values], text: str) -> None:
        self._rows += len(rows)
        self._write(text)

    def _write(self, text: str) -> None:
        data = text.encode()
        self._hash.update(data)
        self._bytes += self._file.write(data)

    def close(self) -> Written:
        self._file.close()
        return Written(self._path.name, self._rows, self._bytes, self._hash.hexdigest())


def written(path: Path, rows: int) -> Written:
    """A file that is there."""
    with path.open("rb") as file:
        digest = sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    return Written(path.name, rows, path.stat().st_size, digest.hexdigest())
