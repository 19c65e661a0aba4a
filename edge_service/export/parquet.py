"""The same rows as Parquet, with units and provenance in the schema. Needs the extra ``parquet`` (pyarrow)."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from edge_service.export.columns import NUMBER, WHOLE, Column
from edge_service.export.rows import Values
from edge_service.export.tables import Written, written

# A few days of minutes: so much is held in memory at a time.
_ROWS_A_GROUP = 10_000


class ParquetTable:
    """Written to ``path`` in groups of rows, compressed by Zstandard."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._path, self._count = path, 0
        self._schema = pa.schema([_field(column) for column in columns])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[Values] = []

    def add(self, rows: Sequence[Values], text: str) -> None:
        self._count += len(rows)
        self._waiting += rows
        if len(self._waiting) >= _ROWS_A_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            series = [
                pa.array(values, type=field.type, from_pandas=False)
                for field, values in zip(self._schema, zip(*self._waiting, strict=True), strict=True)
            ]
            self._writer.write_table(pa.Table.from_arrays(series, schema=self._schema))
            self._waiting = []

    def close(self) -> Written:
        self._flush()
        self._writer.close()
        return written(self._path, self._count)


def _field(column: Column) -> Any:
    kind = pa.float64() if column.type == NUMBER else pa.int64() if column.type == WHOLE else pa.string()
    about = {"unit": column.unit, "origin": column.origin, "source": column.source}
    return pa.field(column.name, kind, metadata={"ridethrough": json.dumps(about)})


def rows_of(path: Path) -> Iterator[Values]:
    """The rows of such a file."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_ROWS_A_GROUP):
            yield from map(list, zip(*(column.to_pylist() for column in batch.columns), strict=True))
