"""The demonstration goes the whole way, and goes on where it was stopped."""

import json

import pytest

from zeusseg import demo
from zeusseg.errors import UsageError


@pytest.fixture
def short(monkeypatch) -> None:
    from zeusseg.training import config

    read = config.read_config
    overrides = ["fit.steps=4", "fit.steps_per_round=2", "fit.batch_size=2", "model.vision_channels=[8, 16, 16]"]
    monkeypatch.setattr(config, "read_config", lambda path: read(path, overrides))
    monkeypatch.setattr(demo, "CASES", 6)
    monkeypatch.setattr(demo, "SPLITS", {"train": 0.5, "test": 0.5})


@pytest.mark.usefixtures("short")
def test_it_leaves_data_run_masks_scores_and_report(tmp_path, capsys):
    out = tmp_path / "demo"
    demo.run_demo(out)
    assert {path.name for path in out.iterdir()} == {
        "data", "targets.yaml", "run", "predictions", "evaluation", "report.html"
    }
    assert len(list((out / "predictions").glob("*/prediction.json"))) == 3
    assert "mean Dice" in capsys.readouterr().out
    summary = json.loads((out / "evaluation" / "summary.json").read_text())
    assert summary["n_cases"] == 3
    weights = (out / "run" / "model.safetensors").stat()
    demo.run_demo(out)
    assert (out / "run" / "model.safetensors").stat().st_mtime_ns == weights.st_mtime_ns


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "demo").touch()
    with pytest.raises(UsageError, match="is a file"):
        demo.run_demo(tmp_path / "demo")
