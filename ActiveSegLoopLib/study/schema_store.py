"""The label schema in the study's database."""

from __future__ import annotations

import sqlite3

from ActiveSegLoopLib.study.schema import Label, LabelSchema


def load_schema(connection: sqlite3.Connection) -> LabelSchema:
    """The study's labels in channel order."""
    rows = connection.execute("SELECT * FROM labels ORDER BY position")
    labels = [
        Label(
            row["id"],
            row["value"],
            row["name"],
            (row["red"], row["green"], row["blue"]),
            row["terminology"],
        )
        for row in rows
    ]
    (sides_matter,) = connection.execute("SELECT sides_matter FROM study").fetchone()
    return LabelSchema(tuple(labels), bool(sides_matter))


def save_labels(connection: sqlite3.Connection, schema: LabelSchema) -> None:
    """Store the labels: new ones are added, known ones get their present name and color.

    Ids, values and positions of known ones stay what they are.
    """
    for position, label in enumerate(schema.labels):
        connection.execute(
            "INSERT INTO labels (id, position, value, name, red, green, blue, terminology) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, "
            "red = excluded.red, green = excluded.green, blue = excluded.blue",
            (label.id, position, label.value, label.name, *label.color, label.terminology),
        )
