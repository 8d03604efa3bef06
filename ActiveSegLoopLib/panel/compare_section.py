"""The section Compare: how far two labelings of a case lie apart, and where."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from ActiveSegLoopLib.panel.coloring import Coloring
from ActiveSegLoopLib.panel.icons import set_icons
from ActiveSegLoopLib.panel.section import Section, guarded, pressed
from ActiveSegLoopLib.panel.tables import current_key, fill, select, stretch

NONE, ON_SCREEN = "", "on screen"
_DECIMALS = 3


class CompareSection(Section):
    """Compares two or three of a case's labels: by hand, the model's, corrected, on screen."""

    name = "compare"

    def setup(self) -> None:
        """Connect the widgets."""
        set_icons((self.ui.compareButton, "SP_BrowserReload"))
        self._kinds: dict[str, list[str]] = {}
        self._maps: dict[str, Any] = {}
        self._pairs: dict[tuple[str, str], Any] = {}
        self._tables: dict[tuple[str, str], Any] = {}
        self._case = ""
        stretch(self.ui.verdictTable, 0)
        self.coloring = Coloring(self)
        self.ui.compareCaseComboBox.connect("currentIndexChanged(int)", self.on_case)
        self.ui.compareButton.connect("clicked(bool)", self.on_compare)
        self.ui.pairComboBox.connect("currentIndexChanged(int)", self.on_pair)
        self.ui.verdictTable.connect("itemSelectionChanged()", self.on_label)
        self.show_study()

    @property
    def boxes(self) -> tuple[tuple[str, Any], ...]:
        """The three choices by the parameter that remembers them."""
        return (
            ("first", self.ui.firstComboBox), ("second", self.ui.secondComboBox),
            ("third", self.ui.thirdComboBox),
        )

    def show_study(self) -> None:
        """Show the cases, that which is open chosen."""
        box = self.ui.compareCaseComboBox
        opened = self._opened()
        names = [] if self.study is None else [case.name for case in self.study.cases()]
        wanted = opened.case.name if opened is not None else str(box.currentText)
        blocked = box.blockSignals(True)
        box.clear()
        for name in names:
            box.addItem(name)
        if wanted in names:
            box.setCurrentIndex(names.index(wanted))
        box.blockSignals(blocked)
        self.ui.compareButton.enabled = bool(names)
        self.show_choices()

    def close_study(self) -> None:
        """Nothing is compared any more."""
        self._forget()

    def scene_closed(self) -> None:
        """Tables and surfaces went with the scene."""
        self._forget()

    @guarded
    def on_case(self) -> None:
        """Another case was chosen."""
        self.show_choices()

    def show_choices(self) -> None:
        """Offer what there is of the chosen case; the choice made before stays where it can."""
        found = self._choices()
        remembered = [getattr(self.parameters, parameter) for parameter, _box in self.boxes]
        texts = choice_texts()
        for (parameter, box), chosen in zip(self.boxes, different(found, remembered)):
            choices = [NONE, *found] if parameter == "third" else found
            box.clear()
            for choice in choices:
                box.addItem(texts[choice], choice)
            if choices:
                box.setCurrentIndex(choices.index(chosen))

    @pressed
    def on_compare(self) -> None:
        """Measure; again after correcting."""
        chosen = list(dict.fromkeys(c for _name, c in self._chosen() if c))
        if len(chosen) < 2:
            self.tell(_("Choose two different ones of a case that has them."))
            return
        for parameter, choice in self._chosen():
            setattr(self.parameters, parameter, choice)
        case = str(self.ui.compareCaseComboBox.currentText)
        sources = self._sources(case, chosen)
        if not set(chosen) <= set(sources):
            self.show_choices()
            self.tell(
                _("{case} doesn't have these labels any more: choose again.").format(case=case)
            )
            return
        self._maps = {name: functools.cache(sources[name]) for name in chosen}
        limit, study = self.parameters.limit_mm, self.study
        measure = self.logic.loop.comparison(self._maps, case, None, limit)
        self._set_busy(True)

        def done(compared: Any) -> None:
            self._set_busy(False)
            if self.study is study:  # else another one was opened meanwhile
                self._show(case, compared, limit)

        def failed(error: Exception) -> None:
            self._set_busy(False)
            self.tell_error(error)

        self.panel.background.start(measure, done, failed)

    @guarded
    def on_pair(self) -> None:
        """Another two of the three are to be shown."""
        self._show_pair()

    @guarded
    def on_label(self) -> None:
        """A label was chosen: say its verdict, show its surface."""
        found = self.structure()
        self.tell("" if found is None else found.verdict)
        self.coloring.show()

    def pair(self) -> tuple[str, str] | None:
        """The two that are shown."""
        pairs = list(self._pairs)
        at = self.ui.pairComboBox.currentIndex
        return pairs[at] if 0 <= at < len(pairs) else None

    def words(self, pair: tuple[str, str]) -> tuple[str, str]:
        """What the panel calls the two of a pair."""
        texts = choice_texts()
        return texts[pair[0]], texts[pair[1]]

    def structure(self) -> Any:
        """The comparison of the chosen label, None without one."""
        value = current_key(self.ui.verdictTable)
        return next((c for c in self._pairs.get(self.pair(), ()) if c.value == value), None)

    def maps(self) -> tuple[Any, Any]:
        """What reads the two label maps that are shown."""
        first, second = self.pair()
        return self._maps[first], self._maps[second]

    @property
    def case_name(self) -> str:
        """The case that was compared."""
        return self._case

    def _show(self, case: str, compared: Any, limit: float) -> None:
        from ActiveSegLoopLib.scene.comparing import show_comparison

        if self.study is None:
            return
        self._case = case
        shown = show_comparison(compared, case, limit, choice_texts())
        self._pairs, self._tables = dict(compared.pairs), dict(shown.tables)
        box = self.ui.pairComboBox
        blocked = box.blockSignals(True)
        box.clear()
        for pair in self._pairs:
            first, second = self.words(pair)
            box.addItem(_("{first} and {second}").format(first=first, second=second))
        box.setCurrentIndex(0)
        box.blockSignals(blocked)
        box.visible = len(self._pairs) > 1
        self._show_pair()

    def _show_pair(self) -> None:
        pair = self.pair()
        if pair is None:
            return
        fits = {True: _("yes"), False: _("no"), None: _("unknown")}
        rows = []
        for found in self._pairs[pair]:
            surface = found.surface.symmetric
            numbers = (found.dice, surface.rms, surface.maximum)
            cells = [n if math.isfinite(n) else "-" for n in map(float, numbers)]
            rows.append((found.value, (found.name, fits[found.fits], *cells)))
        chosen = current_key(self.ui.verdictTable)
        fill(self.ui.verdictTable, rows, _DECIMALS)
        self.ui.surfaceTableView.setMRMLTableNode(self._tables.get(pair))
        if rows and not select(self.ui.verdictTable, chosen):
            select(self.ui.verdictTable, rows[0][0])
        self.on_label()

    def _sources(self, case: str, chosen: list[str]) -> dict[str, Any]:
        from ActiveSegLoopLib.scene.comparing import on_screen, sources

        of_case = self.study.case(case)
        found = dict(sources(self.study, of_case))
        if ON_SCREEN in chosen:
            found[ON_SCREEN] = on_screen(
                self._opened().segmentation_node, of_case.geometry, self.study.schema.segments()
            )
        return found

    def _choices(self) -> list[str]:
        case = str(self.ui.compareCaseComboBox.currentText)
        if self.study is None or not case:
            return []
        from ActiveSegLoopLib.scene.comparing import sources

        opened = self._opened()
        found = list(sources(self.study, self.study.case(case)))
        return [*found, ON_SCREEN] if opened and opened.case.name == case else found

    def _chosen(self) -> list[tuple[str, str]]:
        return [
            (name, box.itemData(box.currentIndex) if box.currentIndex >= 0 else NONE)
            for name, box in self.boxes
        ]

    def _opened(self) -> Any:
        labeling = getattr(self.panel.sections["next"], "labeling", None)
        return None if labeling is None else labeling.opened

    def _forget(self) -> None:
        self._pairs, self._tables, self._maps = {}, {}, {}
        self.tell("")
        self.coloring.forget()
        self.ui.surfaceTableView.setMRMLTableNode(None)
        fill(self.ui.verdictTable, [])
        self.ui.pairComboBox.visible = False

    def _set_busy(self, busy: bool) -> None:
        self.ui.compareButton.enabled = not busy
        self.ui.compareProgressBar.visible = busy


def choice_texts() -> dict[str, str]:
    """What the panel calls the labels that can be compared."""
    return {
        NONE: _("none"), "manual": _("by hand"), "model": _("the model's"),
        "corrected": _("corrected"), ON_SCREEN: _("on screen now"),
    }


def different(found: Sequence[str], remembered: Sequence[str]) -> list[str]:
    """The first, second and third choice: those remembered where they can be, no two the same.

    The third is none if it isn't remembered, the second the first where there is only one.
    """
    *chosen, third = (choice if choice in found else NONE for choice in remembered)
    if chosen[0] == chosen[1]:
        chosen[1] = NONE
    for i, choice in enumerate(chosen):
        if found and choice == NONE:
            chosen[i] = next((other for other in found if other not in chosen), found[0])
    return [*chosen, NONE if third in chosen else third]
