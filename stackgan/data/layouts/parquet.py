"""Rows of a Parquet file, a table format of data sets, where pyarrow is installed."""

from typing import Any, Dict, Iterator, Sequence, Tuple

from stackgan.errors import InputError, MissingRequirement
from stackgan.files import open_regular
from stackgan.text_files import MAX_TABLE_BYTES

MAX_ROWS = 50000000
BATCH_ROWS = 4096


def parquet_rows(
        path: str,
        columns: Sequence[str],          # to read, those of them that the file has
        needed: Sequence[Sequence[str]], # one of each, the first is the name to recommend
) -> Iterator[Tuple[int, Dict[str, Any]]]:
    """(number from 1, {column: value}) of each row. Raises InputError for a faulty file.

    Its own figures for rows and bytes are checked before a column is read.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise MissingRequirement(f"{path}: Parquet is read by pyarrow, which is not installed; pip "
                                 "install 'stackgan[parquet]', or write the table as "
                                 'metadata.jsonl')
    try:
        with open_regular(path) as stream:
            table = parquet.ParquetFile(stream)
            names = table.schema_arrow.names
            _check_columns(path, names, needed)
            there = [name for name in names if name in columns]
            _check_size(path, table.metadata, there)
            number = 0
            for batch in table.iter_batches(BATCH_ROWS, columns=there):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        text = ' '.join(str(error).split())[:200]
        raise InputError(f'{path}: not Parquet that is read ({text}); download it again')


def _check_columns(path: str, names: Sequence[str], needed: Sequence[Sequence[str]]) -> None:
    """Raises InputError if a column is missing."""
    if not all(set(names) & set(tried) for tried in needed):
        raise InputError(f'{path}: must have the columns {" and ".join(each[0] for each in needed)}'
                         f'; it has: {", ".join(names)[:200] or "none"}')


def _check_size(path: str, facts: Any, columns: Sequence[str]) -> None:
    """Raises InputError if the chosen columns are larger than a table of captions can be."""
    size = 0
    for group in range(facts.num_row_groups):
        chunks = facts.row_group(group)
        for index in range(chunks.num_columns):
            chunk = chunks.column(index)
            if chunk.path_in_schema.split('.')[0] in columns:
                size += chunk.total_uncompressed_size
    if facts.num_rows > MAX_ROWS or size > MAX_TABLE_BYTES:
        raise InputError(f'{path}: {facts.num_rows} rows of {size >> 20} MiB, more than '
                         f'{MAX_ROWS} rows or {MAX_TABLE_BYTES >> 20} MiB of captions')
