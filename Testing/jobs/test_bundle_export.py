"""What a MONAI bundle says, and which models and folders are refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigWorkflow, verify_net_in_out

from ActiveSegLoopLib.model import dynunet
from ActiveSegLoopLib.model.model_files import Model, load_model, save_model
from ActiveSegLoopLib.model.network import UNet
from Testing.jobs.running import call, content, exported


def test_a_bundle_says_what_it_is(trained, tmp_path, capsys):
    bundle = exported(trained, tmp_path / "balls")
    assert "Wrote a MONAI bundle" in capsys.readouterr().out
    assert sorted(content(bundle)) == [
        "LICENSE", "configs/inference.json", "configs/metadata.json", "docs/README.md",
        "models/model.pt", "scripts/__init__.py", "scripts/segmenting.py",
    ]
    said = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert said["name"] == "balls" and said["required_packages_version"]["nibabel"]
    for key in ("version", "changelog", "monai_version", "pytorch_version", "numpy_version",
                "task", "description", "authors", "copyright"):
        assert said[key]
    output = said["network_data_format"]["outputs"]["pred"]
    assert output["channel_def"] == {"0": "background", "1": "liver", "2": "spleen"}
    assert said["label_classes"] == "0 is background, 3 is liver, 7 is spleen"
    text = (bundle / "docs" / "README.md").read_text()
    assert "| 3 | liver |" in text and "cd balls" in text
    assert torch.load(bundle / "models" / "model.pt", weights_only=True)
    # MONAI's own check that the network is as said.
    configs = {"config_file": bundle / "configs" / "inference.json",
               "meta_file": bundle / "configs" / "metadata.json"}
    verify_net_in_out("network_def", device="cpu", **{k: str(v) for k, v in configs.items()})


def test_a_name_that_monai_would_evaluate_is_put_in_quotes(trained, tmp_path):
    model = load_model(trained / "models" / "round-001")
    schema = model.schema.renamed("liver", "$print('no')").renamed("spleen", "%a|b")
    save_model(tmp_path / "model", replace(model, schema=schema))
    bundle = exported(tmp_path / "model", tmp_path / "bundle")
    said = json.loads((bundle / "configs" / "metadata.json").read_text())
    names = said["network_data_format"]["outputs"]["pred"]["channel_def"]
    assert names == {"0": "background", "1": "'$print('no')'", "2": "'%a|b'"}
    configs = str(bundle / "configs" / "inference.json")
    ConfigWorkflow(configs, logging_file=False, bundle_root=str(bundle)).initialize()


def untrained(folder: Path, trained: Path, **changes) -> Path:
    """A model folder whose segmenter is of another kind, with random weights."""
    model = load_model(trained / "models" / "round-001")
    network = replace(model.plan.segmenter.network, **changes)
    plan = replace(model.plan, segmenter=replace(model.plan.segmenter, network=network))
    save_model(folder, Model(model.schema, plan, UNet(network), None))
    return folder


@pytest.mark.parametrize(
    ("changes", "reason"), [({"attention": True}, "zhang2020"), ({"pool": 3}, "kim2020")]
)
def test_a_model_that_monai_has_no_network_for_is_refused(
    changes, reason, trained, tmp_path, capsys
):
    model = untrained(tmp_path / "model", trained, **changes)
    assert call("export", model, "--format", "bundle", "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "can't become a MONAI bundle" in error and reason in error
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_other_logits_are_an_error_and_leave_nothing(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(dynunet, "_difference", lambda network, twin: 0.1)
    assert call("export", trained, "--format", "bundle", "--out", tmp_path / "out") == 1
    assert "gives other results" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_fails_halfway_leaves_nothing(trained, tmp_path, monkeypatch, capsys):
    def full(*arguments):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(torch, "save", full)
    assert call("export", trained, "--format", "bundle", "--out", tmp_path / "out") == 1
    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_study_without_a_model_and_a_full_folder_are_refused(study, trained, tmp_path, capsys):
    assert call("export", study, "--format", "bundle", "--out", tmp_path / "out") == 1
    assert "has no model yet; train one first" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").touch()
    assert call("export", trained, "--format", "bundle", "--out", full) == 1
    assert "isn't an empty folder" in capsys.readouterr().err
    assert list(full.iterdir()) == [full / "mine.txt"]
    (full / "mine.txt").unlink()
    assert exported(trained, full).joinpath("models", "model.pt").exists()
