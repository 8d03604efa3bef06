"""Cases: names, roles, groups and channels."""

import numpy as np
import pytest

from ActiveSegLoopLib.errors import ImageError, StudyError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.orientation import to_lps
from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study import LabelSchema, Study
from ActiveSegLoopLib.study.checking import check
from Testing.study.samples import GRID


def test_a_case_refers_to_its_image_and_knows_its_grid(study, make_image):
    image = make_image("CT of P1_0000.nii.gz")
    case = study.add_case([image], role="validation", group="P1")
    assert (case.name, case.role, case.group) == ("CT-of-P1", "validation", "P1")
    assert case.channels == (image,)
    assert case.geometry.difference(GRID) is None
    assert study.case("CT-of-P1") == case == Study.open(study.folder).cases()[0]
    (volume,) = study.volumes(case)
    assert np.array_equal(volume.array, read_image(image).array)
    assert not any(path.name.startswith("CT") for path in study.folder.rglob("*"))


def test_cases_are_listed_in_order_and_by_role(study, make_image):
    for name, role in (("c", "pool"), ("a", "test"), ("b", "pool")):
        study.add_case([make_image(f"{name}.nrrd")], role=role)
    assert [case.name for case in study.cases()] == ["c", "a", "b"]
    assert [case.name for case in study.cases("pool")] == ["c", "b"]
    assert study.cases("validation") == []
    with pytest.raises(StudyError, match="'training' isn't a role"):
        study.cases("training")


def test_an_excluded_case_takes_no_part_and_keeps_everything(study, make_image):
    first, second = (study.add_case([make_image(f"{name}.nrrd")]) for name in "ab")
    labels = Volume(np.ones(first.geometry.shape, np.uint8), first.geometry)
    revision = study.add_revision(first, labels)
    proposals = [
        {"case": case.name, "unit": "volume", "plane": None, "index": None, "score": 1.0,
         "reason": "r", "strategy": "s"} for case in (second, first)
    ]
    study.save_proposals(proposals)
    assert study.exclude(second).excluded and not study.case("a").excluded
    assert [case.name for case in study.cases("pool")] == ["a"]
    assert [case.name for case in study.cases()] == ["a", "b"]
    assert study.proposals("open") == []
    assert study.set_proposal_state(1, "open").case == "b", "by its number it is still known"
    study.exclude(first)
    second.channels[0].unlink()
    assert study.latest(first) == revision and check(study) == []
    with pytest.raises(StudyError, match="group 'b' has the role pool"):
        study.add_case([make_image("c.nrrd")], role="test", group="b")
    assert not study.include(second).excluded
    assert [case.name for case in study.cases("pool")] == ["b"]
    assert [proposal.case for proposal in study.proposals("open")] == ["b"]
    assert len(check(study)) == 1, "Its image is gone."


def test_images_of_the_same_name_get_cases_of_different_names(study, make_image):
    names = [study.add_case([make_image(f"p{i}/CT.nii")]).name for i in range(3)]
    assert names == ["CT", "CT-2", "CT-3"]
    with pytest.raises(StudyError, match="has a case 'ct' already"):
        study.add_case([make_image("other.nii")], name="ct")


def test_an_image_is_added_once_whatever_it_is_called(study, case, make_image):
    copy = case.channels[0].with_name("copy.nii.gz")
    copy.write_bytes(case.channels[0].read_bytes())
    for path in (case.channels[0], copy):
        with pytest.raises(StudyError, match="is in the study already, as case 'scan'"):
            study.add_case([path], role="test")
    with pytest.raises(StudyError, match="is given twice"):
        study.add_case([make_image("x.nii.gz")] * 2)
    assert study.cases() == [case]


@pytest.mark.parametrize("ending", ["nii", "nrrd", "mha"])
@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float32, np.float64])
def test_a_copy_in_another_format_or_type_of_values_is_the_same_image(
    study, case, tmp_path, ending, kind
):
    (image,) = study.volumes(case)
    copy = tmp_path / f"copy.{ending}"
    write_volume(copy, image.with_array(image.array.astype(kind)))
    with pytest.raises(StudyError, match="the same voxels as the image of case 'scan', .*scan.nii"):
        study.add_case([copy], role="test")
    assert study.cases() == [case]


def test_a_copy_turned_to_other_axes_or_with_another_spacing_is_the_same_image(
    study, case, tmp_path
):
    (image,) = study.volumes(case)
    spacing = Geometry(GRID.shape, (1, 1, 1), GRID.origin, GRID.direction)
    for number, copy in enumerate((to_lps(image), Volume(image.array, spacing))):
        write_volume(path := tmp_path / f"{number}.nrrd", copy)
        with pytest.raises(StudyError, match="the same voxels"):
            study.add_case([path], role="test")


def test_one_other_voxel_makes_another_image(study, case, tmp_path):
    (image,) = study.volumes(case)
    array = image.array.copy()
    array[0, 0, 0] += 1
    write_volume(path := tmp_path / "other.nrrd", image.with_array(array))
    assert study.add_case([path], role="test").name == "other"


def test_channels_that_hold_nothing_may_be_alike(study, make_image, tmp_path):
    for number, ending in enumerate(("nrrd", "mha")):
        nothing = Volume(np.zeros(GRID.shape, np.int16), GRID)
        write_volume(empty := tmp_path / f"empty.{ending}", nothing)
        study.add_case([make_image(f"t{number}.nrrd"), empty])
    assert len(study.cases()) == 2


def test_an_image_is_in_one_case_only_whichever_channel_it_is(study, make_image):
    first, second, third = (make_image(f"{name}.nii.gz") for name in ("t1", "t2", "flair"))
    both = study.add_case([first, second], name="both")
    for images in ([second], [third, second], [third, first]):
        with pytest.raises(StudyError, match="is in the study already, as case 'both'"):
            study.add_case(images, role="test")
    assert study.cases() == [both]


def test_a_group_never_spans_roles(study, make_image):
    study.add_case([make_image("a.nii")], group="P1")
    study.add_case([make_image("b.nii")], group="P1")
    study.add_case([make_image("c.nii")], role="test")
    with pytest.raises(StudyError, match="group 'P1' has the role pool .case 'a'."):
        study.add_case([make_image("d.nii")], group=" P1 ", role="test")
    with pytest.raises(StudyError, match="group 'c' has the role test"):
        study.add_case([make_image("e.nii")], group="c", role="pool")
    assert [case.group for case in study.cases()] == ["P1", "P1", "c"]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"role": "train"}, "'train' isn't a role"),
        ({"name": "a/b"}, "can't be a case's name"),
        ({"group": " "}, "can't be a group"),
        ({"group": "a\nb"}, "can't be a group"),
        ({"series": []}, "need 1 series"),
    ],
)
def test_a_case_that_cant_be_is_refused_and_nothing_changes(study, make_image, options, words):
    before = study.database.path.read_bytes()
    with pytest.raises(StudyError, match=words):
        study.add_case([make_image()], **options)
    assert study.database.path.read_bytes() == before


def test_images_that_cant_be_read_are_refused_by_name(study, tmp_path, make_image):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(make_image().read_bytes()[:200])
    with pytest.raises(StudyError, match="absent.nii can't be read"):
        study.add_case([tmp_path / "absent.nii"])
    with pytest.raises(ImageError, match="broken.nii.gz"):
        study.add_case([broken])
    with pytest.raises(StudyError, match="at least one image"):
        study.add_case([])
    assert study.cases() == []


def test_a_case_that_the_study_lacks_is_named(study, make_image):
    with pytest.raises(StudyError, match="no case 'x': no image was added yet"):
        study.case("x")
    study.add_case([make_image("my scan.nii.gz")])
    with pytest.raises(StudyError, match="no case 'my scan.nii.gz'; did you mean 'my-scan'?"):
        study.case("my scan.nii.gz")


def test_channels_are_brought_onto_the_grid_of_the_first(study, tmp_path, make_image):
    fine = Geometry((10, 20, 24), (1, 1, 1))
    coarse = Geometry((6, 12, 14), (2, 2, 2), (-1, -1, -1))
    z, y, x = np.meshgrid(*(np.arange(n) for n in coarse.shape), indexing="ij")
    ramp = (coarse.index_to_world(np.stack([z, y, x], -1)) @ [1, 10, 100]).astype(np.float32)
    write_volume(tmp_path / "t2.nrrd", Volume(ramp, coarse))
    first = make_image("t1.nrrd", fine)
    third = make_image("flair.nrrd", fine)
    case = study.add_case([first, tmp_path / "t2.nrrd", third])
    volumes = study.volumes(case)
    assert case.name == "t1" and len(case.channels) == 3
    assert all(volume.geometry == volumes[0].geometry for volume in volumes)
    assert volumes[0].geometry.difference(fine) is None
    inside = (slice(2, -2),) * 3
    z, y, x = np.meshgrid(*(np.arange(n) for n in fine.shape), indexing="ij")
    expected = fine.index_to_world(np.stack([z, y, x], -1)) @ [1, 10, 100]
    assert np.allclose(volumes[1].array[inside], expected[inside], atol=0.5)
    assert np.array_equal(volumes[2].array, read_image(third).array)


def test_all_cases_have_as_many_channels(study, make_image):
    pair = [make_image("a1.nii"), make_image("a2.nii")]
    case = study.add_case(pair)
    with pytest.raises(StudyError, match="b.nii would have 1 .* 'a1', which is .* has 2: all"):
        study.add_case([make_image("b.nii")])
    assert study.cases() == [case]


def test_channels_that_show_different_places_are_refused(study, make_image):
    away = Geometry((5, 5, 5), (1, 1, 1), (900, 0, 0))
    with pytest.raises(StudyError, match="far.nii shows another place than .*near.nii"):
        study.add_case([make_image("near.nii"), make_image("far.nii", away)])


def test_a_study_is_made_only_in_a_new_or_empty_folder(tmp_path):
    schema = LabelSchema.parse("1=a")
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("x")
    with pytest.raises(StudyError, match="isn't empty .it holds thesis.txt."):
        Study.create(full, schema)
    assert [path.name for path in full.iterdir()] == ["thesis.txt"]
    with pytest.raises(StudyError, match="thesis.txt is a file"):
        Study.create(full / "thesis.txt", schema)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / ".DS_Store").write_text("x")
    study = Study.create(empty, schema)
    study.rename_label("a", "b")
    with pytest.raises(StudyError, match="is a study already"):
        Study.create(empty, schema)
    assert Study.open(empty).schema.names == {1: "b"}


def test_a_creation_that_was_interrupted_is_done_again(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "study.sqlite").write_bytes(b"")
    with pytest.raises(StudyError, match="was interrupted: create it again"):
        Study.open(folder)
    Study.create(folder, LabelSchema.parse("1=a"))
    assert Study.open(folder).schema.ids == ("a",)
