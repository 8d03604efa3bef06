"""A table that is shown on the page and written as CSV and JSON from the same numbers."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

Row = Mapping[str, Any]
NOTHING = "–"


@dataclass(frozen=True)
class Column:
    """One column of the page: its heading, and the text of its cell for a row."""

    heading: str
    text: Callable[[Row], str]
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of plain values, and how the page shows them.

    name: of the CSV file and of the key in the JSON; title and notes: above and below the table.
    Every row has the same keys, which are the CSV's columns. With no columns only the files get
    the table.
    """

    name: str
    title: str
    rows: Sequence[Row]
    columns: Sequence[Column] = ()
    notes: Sequence[str] = field(default_factory=tuple)

    def csv(self) -> str:
        """The rows with all digits; what is undefined is empty."""
        text = io.StringIO()
        keys = list(self.rows[0]) if self.rows else []
        writer = csv.DictWriter(text, keys, lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            writer.writerow({key: _cell(value) for key, value in row.items()})
        return text.getvalue()

    def html(self) -> str:
        """The table as it stands on the page."""
        head = "".join(f'<th scope="col">{escape(c.heading)}</th>' for c in self.columns)
        body = []
        for row in self.rows:
            cells = "".join(
                f'<td{" class=number" if column.is_number else ""}>{escape(column.text(row))}</td>'
                for column in self.columns
            )
            body.append(f"<tr>{cells}</tr>")
        notes = "".join(f"<p class=note>{escape(note)}</p>" for note in self.notes)
        return (
            f'<div class=wide><table id="{escape(self.name)}"><caption>{escape(self.title)}'
            f"</caption><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
            f"{notes}"
        )


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, float) and not math.isfinite(value):
        return ""
    return value


def plain(value: Any) -> Any:
    """The same content in types that JSON knows; None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def words(key: str, heading: str) -> Column:
    """A column of a value as it is."""
    return Column(heading, lambda row: NOTHING if row[key] is None else str(row[key]), False)


def number(key: str, heading: str, digits: int = 2, factor: float = 1.0) -> Column:
    """A column of a number with so many decimals, times a factor."""
    return Column(heading, lambda row: _number(row[key], digits, factor))


def percent(key: str, heading: str, digits: int = 1) -> Column:
    """A column of a share in percent."""
    return number(key, heading, digits, 100.0)


def spread(mean: str, sd: str, heading: str, digits: int = 2, factor: float = 1.0) -> Column:
    """A column of mean ± SD; the SD is left out where there is none."""

    def text(row: Row) -> str:
        shown = _number(row[mean], digits, factor)
        more = _number(row[sd], digits, factor)
        return shown if NOTHING in (shown, more) else f"{shown} ± {more}"

    return Column(heading, text)


def between(low: str, high: str, heading: str, digits: int = 2, factor: float = 1.0) -> Column:
    """A column of an interval."""

    def text(row: Row) -> str:
        ends = [_number(row[key], digits, factor) for key in (low, high)]
        return NOTHING if NOTHING in ends else f"{ends[0]} to {ends[1]}"

    return Column(heading, text)


def p_value(key: str, heading: str) -> Column:
    """A column of p-values."""
    return Column(heading, lambda row: p_text(row[key]))


def p_text(value: float | None) -> str:
    """A p-value as journals print it."""
    if value is None or math.isnan(value):
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def minutes(mean: str, sd: str | None, heading: str) -> Column:
    """A column of a duration in minutes and seconds, as in Kim's table, with its SD if any."""

    def text(row: Row) -> str:
        shown = duration_text(row[mean])
        more = duration_text(row[sd]) if sd else NOTHING
        return shown if NOTHING in (shown, more) else f"{shown} ± {more}"

    return Column(heading, text)


def duration_text(seconds: float | None) -> str:
    """A duration in minutes and seconds, below a minute with a decimal."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s"


def _number(value: float | None, digits: int, factor: float) -> str:
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{factor * value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.replace("-", "")
