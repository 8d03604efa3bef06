"""The table of labels: free before anything is labeled, safe afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ActiveSegLoopLib.panel.icons import set_icons
from ActiveSegLoopLib.panel.section import Section, guarded, pressed
from ActiveSegLoopLib.panel.tables import stretch

if TYPE_CHECKING:
    from ActiveSegLoopLib.study.schema import Label, LabelSchema

NAME, COLOR, TERMINOLOGY = 0, 1, 2


class Labels(Section):
    """The labels of the study that is open, or of the one to be created."""

    name = "study"

    def __init__(self, section: Section) -> None:
        super().__init__(section.panel)
        self.labels: list[Label] = []
        self.is_free = True  # to remove, to reorder
        self.setup()

    def setup(self) -> None:
        """Connect the widgets."""
        set_icons((self.ui.labelUpButton, "SP_ArrowUp"), (self.ui.labelDownButton, "SP_ArrowDown"))
        stretch(self.ui.labelTable, NAME)
        self.ui.labelTable.connect("cellChanged(int,int)", self.on_edited)
        self.ui.labelTable.connect("cellDoubleClicked(int,int)", self.on_double_clicked)
        self.ui.labelTable.connect("itemSelectionChanged()", self.on_selected)
        self.ui.addLabelButton.connect("clicked(bool)", self.on_add)
        self.ui.removeLabelButton.connect("clicked(bool)", self.on_remove)
        self.ui.labelUpButton.connect("clicked(bool)", self.on_up)
        self.ui.labelDownButton.connect("clicked(bool)", self.on_down)

    def schema(self) -> LabelSchema:
        """The labels of the table; raises StudyError when they can't be those of a study."""
        from ActiveSegLoopLib.study.schema import LabelSchema

        return LabelSchema(tuple(self.labels))

    def show(self) -> None:
        """Show the study's labels; without a study those that were written down stay."""
        if self.study is not None:
            from ActiveSegLoopLib.study.relabeling import is_unlabeled

            self.labels = list(self.study.schema.labels)
            # What is open is being labeled with these.
            self.is_free = not self.panel.has_open_case and is_unlabeled(self.study)
        else:
            self.is_free = True
        table = self.ui.labelTable
        row = table.currentRow()
        blocked = table.blockSignals(True)
        table.setRowCount(len(self.labels))
        for number, label in enumerate(self.labels):
            table.setItem(number, NAME, qt.QTableWidgetItem(label.name))
            table.item(number, NAME).setToolTip(_("Double-click to rename."))
            table.setItem(number, COLOR, _fixed(""))
            if label.color is not None:
                color = qt.QColor.fromRgbF(*label.color)
                table.item(number, COLOR).setBackground(qt.QBrush(color))
                # The color of a chosen row would lie over the background.
                table.item(number, COLOR).setData(qt.Qt.DecorationRole, color)
            table.setItem(number, TERMINOLOGY, _fixed(_meaning(label.terminology)))
        if 0 <= row < len(self.labels):
            table.selectRow(row)
        table.blockSignals(blocked)
        self.on_selected()

    @guarded
    def on_selected(self) -> None:
        """A row was chosen, or none."""
        row, last = self.ui.labelTable.currentRow(), len(self.labels) - 1
        chosen = self.is_free and 0 <= row <= last
        self.ui.removeLabelButton.enabled = chosen and (self.study is None or last > 0)
        self.ui.labelUpButton.enabled = chosen and row > 0
        self.ui.labelDownButton.enabled = chosen and row < last

    @pressed
    def on_add(self) -> None:
        """Add a label with a name to be written over."""
        from ActiveSegLoopLib.study.schema import Label, LabelSchema

        taken = {label.name.casefold() for label in self.labels}
        number = next(n for n in range(1, 300) if f"label {n}" not in taken)
        values = {label.value for label in self.labels}
        value = next(n for n in range(1, 300) if n not in values)
        ids = {label.id.casefold() for label in self.labels}
        id = next(f"label_{n}" for n in range(value, 600) if f"label_{n}" not in ids)
        label = Label(id, value, f"label {number}")
        if self.study is not None and not self.is_free:
            self.study.add_label(label)
        else:
            self._use(LabelSchema((*self.labels, label)).labels)
        self.show()
        self.ui.labelTable.setCurrentCell(len(self.labels) - 1, NAME)
        self.ui.labelTable.editItem(self.ui.labelTable.item(len(self.labels) - 1, NAME))
        self._changed()

    @pressed
    def on_remove(self) -> None:
        """Remove the chosen label."""
        row = self.ui.labelTable.currentRow()
        self._use([label for number, label in enumerate(self.labels) if number != row])
        self.show()
        self._changed()

    @pressed
    def on_up(self) -> None:
        """Move the chosen label up."""
        self._move(-1)

    @pressed
    def on_down(self) -> None:
        """Move the chosen label down."""
        self._move(1)

    @pressed
    def on_edited(self, row: int, column: int) -> None:
        """A name was written."""
        from ActiveSegLoopLib.study.schema import LabelSchema

        if column != NAME or not 0 <= row < len(self.labels):
            return
        label, name = self.labels[row], self.ui.labelTable.item(row, NAME).text().strip()
        if name == label.name:
            return
        try:
            if self.study is not None and not self.is_free:
                self.study.rename_label(label.id, name)
            else:
                changed = list(self.labels)
                changed[row] = _renamed(label, name, {other.id for other in self.labels})
                self._use(LabelSchema(tuple(changed)).labels)
        finally:
            self.show()
        self._changed()

    @pressed
    def on_double_clicked(self, row: int, column: int) -> None:
        """Choose a color or a terminology."""
        if not 0 <= row < len(self.labels):
            return
        if column == COLOR:
            self._choose_color(row)
        elif column == TERMINOLOGY:
            self._choose_terminology(row)

    def _choose_color(self, row: int) -> None:
        label = self.labels[row]
        color = qt.QColorDialog.getColor(
            qt.QColor.fromRgbF(*label.color), self.ui.labelTable, _("Color of the label")
        )
        if not color.isValid():
            return
        rgb = (color.redF(), color.greenF(), color.blueF())
        if self.study is not None:
            self.study.set_color(label.id, rgb)
        else:
            self.labels[row] = replace(label, color=rgb)
        self.show()
        self._changed()

    def _choose_terminology(self, row: int) -> None:
        from ActiveSegLoopLib.panel.terminology import choose_terminology

        if not self.is_free:
            self.tell(_("The terminology of a label is fixed once something is labeled."))
            return
        chosen = choose_terminology(self.labels[row].terminology, self.ui.labelTable)
        if chosen is not None:
            changed = list(self.labels)
            changed[row] = replace(changed[row], terminology=chosen)
            self._use(changed)
            self.show()
            self._changed()

    def _move(self, step: int) -> None:
        row = self.ui.labelTable.currentRow()
        moved = list(self.labels)
        moved.insert(row + step, moved.pop(row))
        self._use(moved)
        self.show()
        self.ui.labelTable.selectRow(row + step)
        self._changed()

    def _use(self, labels: Any) -> None:
        """Have these labels, in the study too when one is open."""
        if self.study is not None:
            from ActiveSegLoopLib.study.relabeling import replace_labels
            from ActiveSegLoopLib.study.schema import LabelSchema

            schema = LabelSchema(tuple(labels), self.study.schema.sides_matter)
            replace_labels(self.study, schema)
        self.labels = list(labels)

    def _changed(self) -> None:
        if self.study is not None:
            self.panel.labels_changed()


def _fixed(text: str) -> Any:
    item = qt.QTableWidgetItem(text)
    item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
    return item


def _renamed(label: Label, name: str, taken: set[str]) -> Label:
    """A label with another name; before anything is labeled its id follows the name."""
    from ActiveSegLoopLib.study.schema import LabelSchema

    renamed = replace(label, name=name)
    try:
        id = LabelSchema.parse(f"{label.value}={name}").ids[0]
    except Exception:  # the name holds a comma, say: then the id stays as it is
        return renamed
    free = id.casefold() not in {other.casefold() for other in taken if other != label.id}
    return replace(renamed, id=id) if free else renamed


def _meaning(terminology: str | None) -> str:
    """The type, and the modifier, of a terminology entry: "Kidney, Left"."""
    if not terminology:
        return ""
    parts = [part.split("^") for part in terminology.split("~")]
    words = [part[2] for part in parts[2:4] if len(part) == 3 and part[2]]
    return ", ".join(words)
