"""Where a case's images lie now: a folder is asked for where it was one, else a file."""

from types import SimpleNamespace

import pytest

from Testing.study.test_images_of_cases import ONE, write_series

pytestmark = pytest.mark.usefixtures("slots")


def test_a_dicom_folder_is_asked_for_whatever_its_name_and_a_file_without_an_ending_is_a_file(
    study, tmp_path, monkeypatch
):
    from ActiveSegLoopLib.panel import places

    folder = tmp_path / "1.2.840.113619.2.55"
    write_series(folder, ONE, 1)
    (tmp_path / "IM0001").write_bytes((folder / "slice0.dcm").read_bytes())
    asked = []
    dialog = SimpleNamespace(
        getOpenFileName=lambda *_: asked.append("file") or "/there",
        getExistingDirectory=lambda *_: asked.append("folder") or "/there",
    )
    monkeypatch.setattr(places.qt, "QFileDialog", dialog, raising=False)
    places.ask_places(study.add_case([folder]))
    places.ask_places(study.add_case([tmp_path / "IM0001"]))
    places.ask_places(study.case("p1"))
    assert asked == ["folder", "file", "file"]
