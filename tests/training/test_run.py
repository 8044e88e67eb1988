"""A run folder: complete, repeatable, resumable to the bit, and protective of what is already there."""

import json
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file

from zeusseg.datasets import load_dataset
from zeusseg.errors import UsageError
from zeusseg.instruct.instruction import read_instructions
from zeusseg.training.fit import loader_workers
from zeusseg.training.run import run_splits, train

FILES = {
    "config.yaml", "targets.yaml", "splits.json", "instructions.jsonl", "model.safetensors", "card.md", "run.json",
    "log.csv", "checkpoints",
}


def test_a_run_folder_explains_itself(run, phantoms):
    assert {path.name for path in run.iterdir()} >= FILES
    facts = json.loads((run / "run.json").read_text())
    assert (facts["steps"], facts["cases"], facts["failures"]) == (6, 4, {})
    assert facts["versions"]["torch"] == torch.__version__.split("+")[0] or facts["versions"]["torch"]
    assert {line.case for line in read_instructions(run / "instructions.jsonl")} == set(phantoms.splits["train"])
    assert yaml.safe_load((run / "config.yaml").read_text())["fit"]["steps"] == 6
    assert "not for clinical use" in (run / "card.md").read_text()
    rows = (run / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "6"]


def test_the_targets_file_of_a_run_names_the_data_the_same_way_again(run, phantoms):
    assert load_dataset(phantoms.root, targets_file=run / "targets.yaml").targets == phantoms.targets


def test_the_same_seed_gives_the_same_weights_and_resuming_too(run, phantoms, tiny, tmp_path, monkeypatch):
    from zeusseg.training.module import TrainingModule

    class PowerLossError(Exception):
        pass

    step = TrainingModule.training_step

    def fail_at_the_fourth(self, batch, index):
        if self.trainer.global_step == 3:
            raise PowerLossError
        return step(self, batch, index)

    monkeypatch.setattr(TrainingModule, "training_step", fail_at_the_fourth)
    with pytest.raises(PowerLossError):
        train(tiny, phantoms, tmp_path / "again", progress=False)
    assert not (tmp_path / "again" / "model.safetensors").exists()
    monkeypatch.undo()
    resumed = train(tiny, phantoms, tmp_path / "again", resume=True, progress=False)
    expected, weights = load_file(run / "model.safetensors"), load_file(resumed.folder / "model.safetensors")
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, msg=name)


def test_a_run_that_was_killed_after_its_last_step_ends_with_the_same_weights(run, phantoms, tiny, tmp_path):
    again = shutil.copytree(run, tmp_path / "again")
    (again / "model.safetensors").unlink()
    train(tiny, phantoms, again, resume=True, progress=False)
    expected, weights = load_file(run / "model.safetensors"), load_file(again / "model.safetensors")
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, msg=name)


def test_a_run_is_not_overwritten(run, phantoms, tiny):
    with pytest.raises(UsageError, match="already holds a run"):
        train(tiny, phantoms, run, progress=False)


def test_nothing_to_resume_is_said(phantoms, tiny, tmp_path):
    with pytest.raises(UsageError, match="nothing to resume"):
        train(tiny, phantoms, tmp_path / "new", resume=True, progress=False)


def test_an_unknown_split_lists_the_known_ones(phantoms, tiny, tmp_path):
    with pytest.raises(UsageError, match="no cases called 'fold1': it has test, train"):
        train(tiny.model_copy(update={"train_on": "fold1"}), phantoms, tmp_path / "new", progress=False)


def test_a_broken_case_costs_only_itself(phantoms, tiny, tmp_path):
    shutil.copytree(phantoms.root, tmp_path / "data")
    bad = phantoms.splits["train"][0]
    image = next((tmp_path / "data" / bad).glob("t1.nii.gz"))
    image.write_bytes(image.read_bytes()[:500])
    trained = train(tiny, load_dataset(tmp_path / "data"), tmp_path / "run", progress=False)
    assert list(trained.failures) == [bad]
    assert "t1.nii.gz" in trained.failures[bad]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["cases"] == 3


def test_a_run_goes_on_with_the_split_that_it_was_begun_with(phantoms, tiny, tmp_path):
    (tmp_path / "splits.json").write_text(json.dumps({"train": [phantoms.case_ids[0]]}))
    assert run_splits(tiny, phantoms, tmp_path) == {"train": (phantoms.case_ids[0],)}
    assert run_splits(tiny, phantoms, tmp_path / "new") == phantoms.splits


@pytest.mark.parametrize(("cores", "gpu", "workers"), [(2, False, 0), (8, False, 2), (2, True, 1), (32, True, 8)])
def test_samples_take_no_core_that_the_model_needs(cores, gpu, workers):
    assert loader_workers(cores, gpu) == workers
