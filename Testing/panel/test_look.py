"""How the panel looks: as narrow as Slicer's, every section, folded and unfolded."""

import pytest

from Testing.panel.screenshots import SECTIONS, fill_panel, make_study, shoot
from Testing.panel.window import WIDTH, until

pytestmark = pytest.mark.usefixtures("slots")


def test_every_section_fits_a_panel_of_400_pixels_and_shows_something(widget, tmp_path):
    from PySide6 import QtWidgets

    panel = widget.panel
    fill_panel(
        panel, make_study(tmp_path), lambda: until(lambda: not panel.background.is_busy, 60)
    )
    process_events = QtWidgets.QApplication.processEvents
    for name in SECTIONS:
        picture = shoot(panel, widget, name, WIDTH, process_events)
        assert widget.parent.minimumSizeHint.width() <= WIDTH, name
        assert picture.width() == WIDTH
        image = picture.toImage()
        colors = {image.pixel(x, y) for x in range(0, WIDTH, 3)
                  for y in range(0, image.height(), 3)}
        assert len(colors) > 10, name
    panel.sections["train"]._set_busy(False)
