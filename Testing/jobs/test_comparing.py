"""compare: files and folders, two and three, what is printed and written, what is refused."""

import csv
import json
import shutil

import numpy as np
import pytest

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.segmentation import Segment, write_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from Testing.jobs.running import call, content, events_of, run

GEOMETRY = Geometry((14, 20, 24), (2.0, 1.0, 1.0), (10.0, -20.0, 30.0))
ARTERY = Segment("artery", 1, "Artery", (1, 0, 0))
VEIN = Segment("vein", 2, "Vein", (0, 0, 1))


def balls(shift: float = 0.0, vein: bool = True, geometry: Geometry = GEOMETRY) -> Volume:
    """A large artery, shifted to the right by so many mm, and a small vein."""
    world = GEOMETRY.index_to_world(np.stack(np.indices(GEOMETRY.shape), axis=-1))
    array = np.zeros(GEOMETRY.shape, np.uint8)
    array[np.linalg.norm(world - (18 + shift, -10, 43), axis=-1) < 5] = 1
    if vein:
        array[np.linalg.norm(world - (29, -10, 43), axis=-1) < 3] = 2
    return Volume(array, geometry)


@pytest.fixture
def files(tmp_path):
    """Three segmentations of one case: manual, model (no vein) and corrected."""
    write_segmentation(tmp_path / "manual.seg.nrrd", balls(), [ARTERY, VEIN])
    write_segmentation(tmp_path / "model.seg.nrrd", balls(2, vein=False), [ARTERY])
    write_segmentation(tmp_path / "corrected.seg.nrrd", balls(1), [ARTERY, VEIN])
    return [tmp_path / f"{name}.seg.nrrd" for name in ("manual", "model", "corrected")]


def result(capfd, *arguments) -> dict:
    """What compare --json prints."""
    assert call("compare", *arguments, "--json") == 0
    return json.loads(capfd.readouterr().out)


def test_three_files_are_compared_in_pairs_by_a_process_of_its_own(files, tmp_path):
    ran = run("compare", *files, "--csv", tmp_path / "all.csv", "--surface", tmp_path / "far.vtp")
    assert ran.returncode == 0, ran.stderr
    for pair in ("manual against model", "manual against corrected", "model against corrected"):
        assert pair in ran.stdout
    assert "Artery: Fit for print: surface RMS" in ran.stdout
    assert "Vein: No verdict: The second surface is empty" in ran.stdout
    assert "Vein: corrected has 0.08 ml of it, model none." in ran.stdout
    assert "model.seg.nrrd doesn't have the structure 'Vein': it counts as empty." in ran.stderr
    with open(tmp_path / "all.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["first"], row["second"], row["name"]) for row in rows] == [
        (first, second, name)
        for first, second in (("manual", "model"), ("manual", "corrected"), ("model", "corrected"))
        for name in ("Artery", "Vein")
    ]
    assert float(rows[0]["symmetric_rms"]) > float(rows[2]["symmetric_rms"]) > 0
    assert rows[1]["symmetric_rms"] == rows[1]["fits"] == "" and rows[1]["dice"] == "0.0"
    assert "empty" in rows[1]["undefined"]
    assert sorted(path.name for path in tmp_path.glob("far*.vtp")) == [
        "far-manual-corrected.vtp", "far-manual-model.vtp", "far-model-corrected.vtp",
    ]


def test_the_json_has_every_number_and_none_where_there_is_none(files, capfd):
    found = result(capfd, *files[:2], "--names", "by hand", "network", "--limit", 0.5)
    pair = found["comparisons"][0]
    assert (pair["case"], pair["first"], pair["second"]) == (None, "by hand", "network")
    artery, vein = pair["structures"]
    assert artery["name"] == "Artery" and artery["fits"] is False
    assert 0.5 < artery["dice"] < 1 and artery["surface"]["a_to_b"]["count"] > 100
    assert artery["surface"]["symmetric"]["maximum"] == pytest.approx(2)
    assert vein["dice"] == 0 and vein["surface"]["symmetric"]["rms"] is None
    assert vein["fits"] is None and "undefined" in vein["verdict"]


def test_segments_are_matched_by_name_else_by_id_and_plain_files_by_value(
    files, tmp_path, capfd
):
    manual = balls()
    swapped = manual.with_array(np.array([0, 2, 1], np.uint8)[manual.array])
    renamed = [Segment("Segment_7", 2, "ARTERY", (1, 0, 0)), Segment("vein", 1, "V.", (0, 0, 1))]
    write_segmentation(tmp_path / "other.seg.nrrd", swapped, renamed)
    write_volume(tmp_path / "plain.nii.gz", manual)
    for other in ("other.seg.nrrd", "plain.nii.gz"):
        found = result(capfd, files[0], tmp_path / other)["comparisons"][0]["structures"]
        assert [(s["name"], s["dice"]) for s in found] == [("Artery", 1), ("Vein", 1)]
    turned = result(capfd, tmp_path / "plain.nii.gz", files[0])["comparisons"][0]["structures"]
    assert [(s["name"], s["dice"]) for s in turned] == [("Artery", 1), ("Vein", 1)]
    plain = tmp_path / "plain.nii.gz", tmp_path / "plain.nii.gz"
    names = ("--names", "a", "b")
    unnamed = result(capfd, *plain, *names)["comparisons"][0]["structures"]
    assert [s["name"] for s in unnamed] == ["label 1", "label 2"]
    named = result(capfd, *plain, *names, "--labels", "1=aorta,2=cava", "--only", "CAVA")
    assert [s["name"] for s in named["comparisons"][0]["structures"]] == ["cava"]


def test_a_segmentation_in_which_nothing_was_found_counts_as_missing_everything(tmp_path, capfd):
    nothing = balls().with_array(np.zeros(GEOMETRY.shape, np.uint8))
    write_volume(tmp_path / "manual.nii.gz", balls())
    write_volume(tmp_path / "model.nii.gz", nothing)
    pair = tmp_path / "manual.nii.gz", tmp_path / "model.nii.gz"
    for options in ((), ("--labels", "1=Artery,2=Vein")):
        found = result(capfd, *pair, *options)["comparisons"][0]["structures"]
        assert [s["dice"] for s in found] == [0, 0]
        assert all("second surface is empty" in s["verdict"] for s in found)
    assert call("compare", pair[1], pair[1], "--names", "a", "b") == 1
    assert "have no structure in common" in capfd.readouterr().err


def test_a_file_that_slicer_cropped_is_put_back_into_its_place(files, tmp_path, capfd):
    manual = balls()
    low, high = np.array([2, 3, 2]), np.array([12, 17, 24])
    part = manual.array[tuple(map(slice, low, high))]
    origin = tuple(GEOMETRY.index_to_world(low))
    cropped = Volume(part, Geometry(part.shape, GEOMETRY.spacing, origin))
    write_segmentation(tmp_path / "cropped.seg.nrrd", cropped, [ARTERY, VEIN])
    for pair in ((files[0], "cropped.seg.nrrd"), ("cropped.seg.nrrd", files[0])):
        found = result(capfd, *(tmp_path / name for name in pair))["comparisons"][0]["structures"]
        assert [s["dice"] for s in found] == [1, 1]


@pytest.fixture
def folders(tmp_path):
    """Folders of labels and predictions; one case is only in the second."""
    for folder, shift, cases in (("labels", 0, "pq"), ("predicted", 1, "pqr")):
        (tmp_path / folder).mkdir()
        for case in cases:
            write_volume(tmp_path / folder / f"{case}.nii.gz", balls(shift))
    shutil.move(tmp_path / "predicted" / "q.nii.gz", tmp_path / "predicted" / "gone")
    write_segmentation(
        tmp_path / "predicted" / "q.seg.nrrd", balls(1.5, vein=False), [ARTERY, VEIN]
    )
    return tmp_path / "labels", tmp_path / "predicted"


def test_folders_are_matched_by_the_names_of_their_files(folders, tmp_path):
    ran = run(
        "compare", *folders, "--labels", "1=Artery,2=Vein", "--events", "json",
        "--surface", tmp_path / "far.vtp",
    )
    assert ran.returncode == 0, ran.stderr
    events = events_of(ran.stdout)
    warnings = [event["text"] for event in events if event["event"] == "warning"]
    assert warnings == ["The case 'r' is left out: not every folder has it."]
    found = next(event for event in events if event["event"] == "result")
    assert [pair["case"] for pair in found["comparisons"]] == ["p", "q"]
    assert found["left_out"] == ["r"]
    assert sorted(path.name for path in tmp_path.glob("*.vtp")) == ["far-p.vtp", "far-q.vtp"]
    assert [event["step"] for event in events if event["event"] == "progress"] == [1, 2]


def test_cases_are_summed_up_without_what_is_undefined(folders, capsys):
    assert call("compare", *folders, "--labels", "1=Artery,2=Vein") == 0
    summary = capsys.readouterr().out.partition("All cases, labels against predicted\n")[2]
    artery, vein = (line.split() for line in summary.splitlines()[1:3])
    assert artery[0] == "Artery" and artery[-3:] == ["2", "of", "2"] and artery.count("(2)") == 2
    assert vein[0] == "Vein" and vein[-3:] == ["1", "of", "1"], "a missed vein has no distance"
    assert vein[1:5] == ["0.500", "±", "0.707", "(2)"] and vein[5:7] == ["0.00", "(1)"]


def test_one_bad_case_does_not_keep_the_others_back(folders, capsys):
    (folders[1] / "p.nii.gz").write_bytes(b"no image")
    assert call("compare", *folders, "--labels", "1=Artery,2=Vein") == 1
    captured = capsys.readouterr()
    assert "q: labels against predicted" in captured.out and "p: labels" not in captured.out
    assert captured.err.count("p.nii.gz") == 1


def test_the_distance_is_a_point_array_of_the_written_surface(files, tmp_path):
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    assert call("compare", files[0], files[1], "--surface", tmp_path / "far.vtp") == 0
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(tmp_path / "far.vtp"))
    reader.Update()
    surface = reader.GetOutput()
    points = vtk_to_numpy(surface.GetPoints().GetData())
    arrays = surface.GetPointData()
    assert arrays.GetScalars().GetName() == "Distance"
    distance = vtk_to_numpy(arrays.GetArray("Distance"))
    label = vtk_to_numpy(arrays.GetArray("Label"))
    assert np.linalg.norm(points[label == 1] - (18, -10, 43), axis=1).max() < 6
    artery = distance[label == 1]
    # The model's artery lies 2 mm further to the right: the manual one's left end is outside it.
    ends = [artery[points[label == 1, 0].argmin()], artery[points[label == 1, 0].argmax()]]
    assert ends[0] == pytest.approx(2) and -2 <= ends[1] < -1
    assert np.isnan(distance[label == 2]).all()


def test_every_number_is_printed_of_one_case_and_both_directions_of_many(files, folders, capsys):
    assert call("compare", files[0], files[2], "--weighting", "area") == 0
    printed = capsys.readouterr().out.splitlines()
    overlap, distances = (next(x for x in printed if y in x) for y in ("Dice", "signed mean"))
    for heading in ("IoU", "surface Dice 1 mm", "difference ml", "false positive ml"):
        assert heading in overlap
    assert distances.split("  ")[0] == "mm, weighted by area"
    for heading in ("RMS", "SD", "median", "95 %", "max", "within 1 mm, %", "within 2 mm, %"):
        assert heading in distances
    for direction in ("manual to corrected", "corrected to manual", "both"):
        assert sum(x.startswith(f"Artery, {direction} ") for x in printed) == 1
    assert call("compare", *folders, "--labels", "1=Artery,2=Vein") == 0
    printed = capsys.readouterr().out
    assert printed.count("\nArtery, both ") == 2 and "Artery, labels to" not in printed


def test_a_file_may_be_compared_with_itself(files, capfd):
    pair = result(capfd, files[0], files[0])["comparisons"][0]
    assert pair["first"].endswith("manual.seg.nrrd (A)") and pair["second"].endswith("(B)")
    assert [s["dice"] for s in pair["structures"]] == [1, 1]


def test_a_structure_asked_for_by_name_may_be_missing_in_a_file(tmp_path, files, capfd):
    write_volume(tmp_path / "model.nii.gz", balls(vein=False))
    write_volume(tmp_path / "manual.nii.gz", balls())
    pair = tmp_path / "manual.nii.gz", tmp_path / "model.nii.gz"
    found = result(capfd, *pair, "--only", "label 2")["comparisons"][0]["structures"]
    assert [(s["name"], s["dice"], s["second_ml"]) for s in found] == [("label 2", 0, 0)]


def test_smoothing_area_and_samples_change_the_result_and_say_so(files, capfd):
    rough = result(capfd, *files[::2], "--only", "artery")
    for option in (("--smoothing", "0.5"), ("--weighting", "area"), ("--samples", "500")):
        other = result(capfd, *files[::2], "--only", "artery", *option)
        assert other["comparisons"] != rough["comparisons"]
    table = files[0].with_name("smooth.csv")
    assert call("compare", *files[:2], "--smoothing", "0.5", "--csv", table) == 0
    printed = capfd.readouterr().out
    for name in ("manual", "model"):
        assert f"Artery, {name}: Smoothing 0.5 moved the surface by 0." in printed
    assert "Vein, manual: Smoothing" in printed and "Vein, model: Smoothing" not in printed
    with open(table, newline="", encoding="utf-8") as file:
        artery, vein = csv.DictReader(file)
    assert float(artery["second_smoothing_rms"]) > 0 and vein["second_smoothing_rms"] == ""


def write_other(name, tmp_path):
    """A file that can't be compared with the manual segmentation."""
    path = tmp_path / name
    moved = Geometry(GEOMETRY.shape, GEOMETRY.spacing, (10.3, -20.0, 30.0))
    coarse = Geometry(GEOMETRY.shape, (2.0, 1.0, 1.5), GEOMETRY.origin)
    if name == "moved.nii.gz":
        write_volume(path, balls(geometry=moved))
    elif name == "coarse.nii.gz":
        write_volume(path, balls(geometry=coarse))
    elif name == "bone.seg.nrrd":
        write_segmentation(
            path, balls(vein=False), [Segment("bone", 1, "Bone", (1, 1, 1))]
        )
    elif name == "image.nii.gz":
        noise = np.random.default_rng(0).normal(0, 1, GEOMETRY.shape)
        write_volume(path, Volume(noise.astype(np.float32), GEOMETRY))
    elif name == "ct.nii.gz":
        array = np.arange(balls().array.size, dtype=np.int16).reshape(GEOMETRY.shape)
        write_volume(path, Volume(array, GEOMETRY))
    elif name == "broken.seg.nrrd":
        path.write_bytes((tmp_path / "manual.seg.nrrd").read_bytes()[:900])
    elif name == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    "name, options, said",
    [
        ("moved.nii.gz", (), "origins 0.3 mm apart"),
        ("coarse.nii.gz", (), "spacing 2 x 1 x 1 against 2 x 1 x 1.5 mm"),
        ("bone.seg.nrrd", (), "have no structure in common"),
        ("image.nii.gz", (), "isn't a label map: it holds negative values"),
        ("ct.nii.gz", (), "different values, as an image does"),
        ("broken.seg.nrrd", (), "broken.seg.nrrd"),
        ("folder", (), "compare files with files or folders with folders"),
        ("absent.nii.gz", (), "absent.nii.gz doesn't exist."),
        ("model.seg.nrrd", ("--only", "bone"), "None of the files has the structure 'bone'"),
        ("model.seg.nrrd", ("--names", "a"), "--names needs 2 different names"),
        ("model.seg.nrrd", ("--names", "a", "a"), "--names needs 2 different names"),
        ("model.seg.nrrd", ("--labels", "artery"), "isn't a label: write value=name"),
        ("model.seg.nrrd", ("--limit", "0"), "The limit must be larger than 0 mm"),
        ("model.seg.nrrd", ("--surface", "far.stl"), "a surface's name ends in .vtp"),
        ("model.seg.nrrd", ("--csv", "nowhere/far.csv"), "nowhere doesn't exist"),
        (
            "model.seg.nrrd", ("--surface", "far.vtp", "--csv", "."),
            ". can't be written: it is a folder.",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line_and_nothing_is_written(
    name, options, said, files, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    other = write_other(name, tmp_path)
    before = content(tmp_path)
    assert call("compare", files[0], other, *options) == 1
    captured = capsys.readouterr()
    error = captured.err.splitlines()[-1]
    assert said in error and "Traceback" not in captured.err
    assert captured.out == ""
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    "options, said",
    [
        (("--tolerance", "-1"), "isn't a length in mm"),
        (("--limit", "two"), "'two' isn't a length in mm such as 2 or 0.5"),
        (("--smoothing", "3"), "'3' isn't a number from 0 to 1"),
        (("--samples", "0"), "isn't a whole number from 1 on"),
        (("--criterion", "median"), "invalid choice"),
    ],
)
def test_a_mistake_in_the_options_is_a_usage_error(options, said, files, capsys):
    assert call("compare", *files, *options) == 2
    assert said in capsys.readouterr().err
