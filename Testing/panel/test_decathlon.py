"""The Decathlon's hippocampus MRs in the module Sample Data."""

import logging
import sys
import types

import pytest
import slicer

from Testing.scene.test_decathlon import an_archive


@pytest.fixture
def downloading(monkeypatch):
    """A function that says what a download comes to: a path, or an error to raise."""
    asked = []

    def become(answer):
        class Logic:
            def __init__(self, logMessage):  # noqa: N803, as in Slicer
                self.logMessage = logMessage

            def downloadFileIntoCache(self, uri, name, checksum):  # noqa: N802, as in Slicer
                asked.append((uri, name, checksum))
                if isinstance(answer, Exception):
                    raise answer
                return str(answer)

        monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=Logic))
        return asked

    return become


def test_pressing_the_button_downloads_checks_and_shows_three(told, downloading, tmp_path):
    from ActiveSegLoopLib.panel.decathlon import load

    asked = downloading(an_archive(tmp_path))
    volumes = load()
    ((uri, name, checksum),) = asked
    assert uri.startswith("https://") and uri.endswith(name) and len(checksum) == len("MD5:") + 32
    names = ["hippocampus_001", "hippocampus_003", "hippocampus_004"]
    assert [volume.GetName() for volume in volumes] == names
    assert told[-1] == (f"{', '.join(names)} are ready.", logging.INFO)
    red = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert red.GetBackgroundVolumeID() == volumes[-1].GetID()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ValueError("Failed to download it"), "Failed to download"),
        (None, "isn't the expected file"),
    ],
)
def test_what_goes_wrong_is_one_sentence_there(told, downloading, tmp_path, answer, words):
    from ActiveSegLoopLib.panel.decathlon import load

    downloading(answer or tmp_path / "deleted.tar")
    assert load() == []
    text, level = told[-1]
    assert level == logging.ERROR and words in text
    assert slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode") is None
