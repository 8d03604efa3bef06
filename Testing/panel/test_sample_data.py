"""The phantoms of the module Sample Data: offered at start, made beside the window."""

import logging

import slicer

from Testing.panel.window import until


def test_pressing_the_button_makes_phantoms_and_shows_the_newest(told, monkeypatch):
    from ActiveSegLoopLib.panel import sample_data

    monkeypatch.setattr(sample_data, "_COUNT", 1)
    sample_data.make()
    sample_data.make()
    assert told[-1][0] == "The phantoms are being made."
    until(lambda: not sample_data._at_work, 120)
    assert told[-1] == ("kidney-001 is ready (1 of 1).", logging.INFO)
    volume = slicer.mrmlScene.GetFirstNodeByName("kidney-001")
    red = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert red.GetBackgroundVolumeID() == volume.GetID()


def test_what_goes_wrong_is_one_sentence_there(told, monkeypatch):
    from ActiveSegLoopLib.panel import sample_data

    monkeypatch.setattr(sample_data, "_COUNT", 0)  # the command refuses it
    sample_data.make()
    until(lambda: not sample_data._at_work, 60)
    text, level = told[-1]
    assert level == logging.ERROR and "'0' isn't a whole number from 1 on" in text
    assert slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode") is None
