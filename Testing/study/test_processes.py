"""Several processes at work on one study."""

import subprocess
import sys

import numpy as np

from ActiveSegLoopLib.study import Annotation, Study
from ActiveSegLoopLib.study.checking import check
from Testing.repository import ROOT

COUNT = 8


def labeling(study, case, seed):
    command = [sys.executable, "-m", "Testing.study.labeler", study.folder, case, seed, COUNT]
    return subprocess.Popen(
        [str(word) for word in command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_processes_add_to_the_same_and_to_other_cases_without_losing_anything(
    study, make_image, make_labels
):
    for name in "ab":
        study.add_case([make_image(f"{name}.nrrd")])
    processes = [
        ("a", labeling(study, "a", 100)),
        ("a", labeling(study, "a", 200)),
        ("b", labeling(study, "b", 300)),
        ("b", labeling(study, "b", 400)),
    ]
    accepted = {"a": {}, "b": {}}
    for name, process in processes:
        lines = process.communicate()[0].splitlines()
        assert process.returncode == 0 and len(lines) == COUNT
        for number, seed in (map(int, line.split()) for line in lines):
            assert number not in accepted[name]
            accepted[name][number] = seed
    for name, seeds in accepted.items():
        revisions = study.revisions(study.case(name))
        assert [r.number for r in revisions] == list(range(1, 2 * COUNT + 1)) == sorted(seeds)
        assert [r.parent for r in revisions] == [None, *range(1, 2 * COUNT)]
        for revision in revisions:
            truth = make_labels(seeds[revision.number]).array
            assert np.array_equal(study.labelmap(revision).array, truth)
    assert check(study) == []


def test_a_revision_that_came_in_meanwhile_becomes_the_parent(
    study, case, make_labels, monkeypatch
):
    """What another person annotated while this one's file was compressed is kept."""
    mine, other = make_labels(1), make_labels(2)
    module = sys.modules["ActiveSegLoopLib.study.revisions"]
    write, calls = module.write_segmentation, []

    def slow_write(*arguments):
        write(*arguments)
        calls.append(arguments)
        if len(calls) == 1:
            monkeypatch.setattr(module, "write_segmentation", write)
            Study.open(study.folder).add_revision(case, other, Annotation({"axial": (4,)}))
            monkeypatch.setattr(module, "write_segmentation", slow_write)

    monkeypatch.setattr(module, "write_segmentation", slow_write)
    revision = study.add_revision(case, mine, Annotation({"axial": (1,)}))
    assert (revision.number, revision.parent, len(calls)) == (2, 1, 2)
    stored = study.labelmap(revision).array
    assert np.array_equal(stored[4], other.array[4])
    assert np.array_equal(np.delete(stored, 4, 0), np.delete(mine.array, 4, 0))
    assert [entry.slices for entry in revision.annotations] == [{"axial": (1, 4)}]
    assert check(study) == []
