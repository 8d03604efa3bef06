"""Filling Qt's tables: rows with a key each, sorting and selection kept."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import qt


def fill(
    table: Any, rows: Sequence[tuple[Hashable, Sequence[Any]]], decimals: int | None = None
) -> None:
    """Show rows (key, cells) in a QTableWidget; numbers sort as numbers, the selection stays.

    decimals: so many for every float, in a table that isn't sorted.
    """
    chosen = current_key(table)
    sorted_rows = table.sortingEnabled
    blocked = table.blockSignals(True)
    table.setSortingEnabled(False)  # or rows would move while they are filled
    table.setRowCount(len(rows))
    for row, (key, cells) in enumerate(rows):
        for column, cell in enumerate(cells):
            item = qt.QTableWidgetItem()
            is_text = decimals is None or not isinstance(cell, float)
            shown = cell if is_text else f"{cell:.{decimals}f}"
            item.setData(qt.Qt.DisplayRole, shown)
            item.setToolTip(str(shown))
            if column == 0:
                item.setData(qt.Qt.UserRole, key)
            if isinstance(cell, (int, float)):
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            table.setItem(row, column, item)
    table.setSortingEnabled(sorted_rows)
    table.blockSignals(blocked)
    select(table, chosen)


def key_of(table: Any, row: int) -> Any:
    """The key of a row as it is now shown; None where there is no such row."""
    item = table.item(row, 0) if row >= 0 else None
    return None if item is None else item.data(qt.Qt.UserRole)


def current_key(table: Any) -> Any:
    """The key of the selected row; None when none is selected."""
    return key_of(table, table.currentRow())


def select(table: Any, key: Any) -> bool:
    """Select the row with this key without telling anybody; returns whether there is one."""
    blocked = table.blockSignals(True)
    try:
        for row in range(table.rowCount):
            if key is not None and key_of(table, row) == key:
                table.selectRow(row)
                return True
        table.setCurrentCell(-1, -1)
        return False
    finally:
        table.blockSignals(blocked)


def stretch(table: Any, column: int) -> None:
    """Let one column take the room that is left; the others are as wide as what they hold."""
    header = table.horizontalHeader()
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    header.setSectionResizeMode(column, qt.QHeaderView.Stretch)
    table.verticalHeader().setVisible(False)
