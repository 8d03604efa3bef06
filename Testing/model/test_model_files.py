"""Model folders: what is loaded is what was saved, and nothing else is."""

import json
from dataclasses import replace

import pytest
import torch

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model.model_files import load_model, save_model


def test_a_saved_model_is_loaded_with_the_same_weights_plan_and_labels(trained, tmp_path):
    save_model(tmp_path, trained)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "model.json", "roi.safetensors", "segment.safetensors",
    ]
    loaded = load_model(tmp_path)
    assert loaded.plan == trained.plan
    assert loaded.schema == trained.schema
    image = torch.randn(1, 1, 16, 16, 16)
    for part in ("locator", "segmenter"):
        assert torch.equal(getattr(loaded, part)(image), getattr(trained, part).eval()(image))


@pytest.mark.parametrize("name", ["roi.safetensors", "segment.safetensors"])
def test_weights_that_were_changed_by_one_byte_are_refused(trained, tmp_path, name):
    save_model(tmp_path, trained)
    content = bytearray((tmp_path / name).read_bytes())
    content[-1] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} was changed"):
        load_model(tmp_path)


def test_a_description_that_was_changed_is_refused(trained, tmp_path):
    save_model(tmp_path, trained)
    content = json.loads((tmp_path / "model.json").read_text())
    content["plan"]["margin_mm"] = 0.0
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="model.json was changed"):
        load_model(tmp_path)


def test_a_sound_model_of_another_training_is_refused(trained, tmp_path):
    known = save_model(tmp_path, trained)
    load_model(tmp_path, known)
    save_model(tmp_path, replace(trained, plan=replace(trained.plan, margin_mm=1.0)))
    load_model(tmp_path)
    with pytest.raises(ModelError, match="isn't the one that its round trained"):
        load_model(tmp_path, known)


def test_a_pickled_model_is_never_unpickled(trained, tmp_path):
    save_model(tmp_path, trained)
    torch.save(trained.segmenter, tmp_path / "segment.safetensors")
    with pytest.raises(ModelError, match="segment.safetensors was changed"):
        load_model(tmp_path)


def test_missing_files_are_named(trained, tmp_path):
    with pytest.raises(ModelError, match="no model.json"):
        load_model(tmp_path)
    save_model(tmp_path, trained)
    (tmp_path / "roi.safetensors").unlink()
    with pytest.raises(ModelError, match="roi.safetensors is missing"):
        load_model(tmp_path)
