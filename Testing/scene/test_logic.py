"""The module's logic: each step in one call, waiting or not."""

import inspect
import sys
import time

import numpy as np
import pytest

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.images.volume import Volume
from Testing.application import load_module, stand_ins
from Testing.scene.conftest import GRID
from Testing.scene.test_segmentations import paint


@pytest.fixture
def logic(views, monkeypatch):
    """ActiveSegLoopLogic on slicer-core."""
    for name, stand_in in stand_ins().items():
        monkeypatch.setitem(sys.modules, name, stand_in)
    made = load_module().ActiveSegLoopLogic()
    yield made
    made.closeStudy()


def test_every_method_says_what_it_does(logic):
    public = [name for name in dir(logic) if not name.startswith("_") and name != "loop"]
    for name in public:
        assert inspect.getdoc(getattr(logic, name)), name
    asked = {"openStudy", "createStudy", "addFiles", "addVolume", "propose", "openProposal",
             "openCase", "acceptSlice", "acceptVolume", "skip", "flag", "train", "segment",
             "compare", "report", "advise"}
    assert asked <= set(public)


def test_a_study_is_made_proposed_from_labeled_and_summed_up(logic, tmp_path):
    from ActiveSegLoopLib.scene.volumes import volume_node

    study = logic.createStudy(tmp_path / "new", "1=artery,5=vein")
    random = np.random.default_rng(0)
    for number in range(2):
        image = Volume(random.integers(0, 99, GRID.shape).astype(np.int16), GRID)
        logic.addVolume(volume_node(image, f"CT {number}"), group=f"patient {number}")
    told = []
    proposals = logic.propose(count=2, onEvent=told.append)
    assert len(proposals) == 2 and proposals == logic.proposals()
    assert told[-1] == {"event": "exit", "status": 0}
    opened = logic.openProposal(proposals[0])
    mask = np.zeros(GRID.shape, bool)
    mask[:, 2:4, 2:4] = True
    paint(opened.segmentation_node, "vein", mask)
    assert logic.saveDraft({"axial": [proposals[0].index]}).case == proposals[0].case
    revision = logic.acceptSlice(seconds={"vein": 4})
    assert revision.annotation.slices == {"axial": (proposals[0].index,)}
    logic.skip(logic.proposals()[0], "motion")
    assert logic.proposals() == []
    assert "2 pool), 1 of them labeled. Labels: artery, vein." in logic.summary()
    assert study.timing()["vein"] == [4.0]


def test_without_waiting_a_job_comes_back_that_can_be_asked(logic, study):
    logic.openStudy(study.folder)
    job = logic.train("fast", device="cpu", wait=False)
    while job.is_running:
        job.poll()
        time.sleep(0.02)
    assert job.status == 1 and "label at least one first" in job.error
    with pytest.raises(ActiveSegLoopError, match="label at least one first"):
        logic.train("fast", device="cpu")
