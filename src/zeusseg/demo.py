"""The whole way on phantoms, in one command: what `make demo` runs."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import typer

from zeusseg.errors import UsageError

CASES, SEED = 60, 7
SPLITS = {"train": 0.65, "test": 0.35}
# The parts of a lesion are learned too slowly for a demonstration of a few minutes.
TARGETS = ("lesion", "ventricles")


def run_demo(out: Path) -> None:
    """Make phantoms, train on some, predict and score the others, and report.

    Writes `out`/{data,run,predictions,evaluation}, `out/targets.yaml` and `out/report.html`. What is already there is
    used: the data and a finished training are not made again, an unfinished one goes on. Raises `UsageError` where
    `out` is a file.
    """
    from zeusseg.datasets import dump_targets_file, load_dataset
    from zeusseg.datasets.phantom import write_phantoms
    from zeusseg.files import write_text
    from zeusseg.inference.predict import predict
    from zeusseg.report.evaluate import evaluate
    from zeusseg.training.config import read_config
    from zeusseg.training.run import train

    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: expected a folder, or a name that is free")
    data, run = out / "data", out / "run"
    if not (data / "truth.jsonl").exists():
        typer.echo(f"making {CASES} phantom patients in {data}")
        write_phantoms(data, CASES, SEED, splits=SPLITS)
    everything = load_dataset(data)
    words = everything.words.model_copy(update={"targets": {name: everything.words.targets[name] for name in TARGETS}})
    write_text(out / "targets.yaml", dump_targets_file(replace(everything, words=words)))
    dataset = load_dataset(data, targets_file=out / "targets.yaml")
    assert dataset.splits is not None
    if not (run / "model.safetensors").exists():
        typer.echo(f"writing instructions and training on {len(dataset.splits['train'])} of them, into {run}")
        with as_file(files("zeusseg").joinpath("demo.yaml")) as config:
            train(read_config(config), dataset, run, resume=(run / "config.yaml").exists())
    held_out = dataset.splits["test"]
    typer.echo(f"segmenting the {len(held_out)} that were held out")
    predict(run, dataset, out / "predictions", case_ids=held_out)
    evaluation = evaluate(out / "predictions", dataset, out / "evaluation", split_ids=held_out)
    write_text(out / "report.html", (out / "evaluation" / "report.html").read_text(encoding="utf-8"))
    typer.echo(evaluation.to_text())
    lesion, whole = evaluation.targets["lesion"], evaluation.overall
    typer.echo(
        f"mean Dice {whole.predicted['dice'].over_patients.mean:.3f}; patients without a lesion whose lesion mask "
        f"is empty: {lesion.target_free - lesion.false_masks} of {lesion.target_free}"
    )
    typer.echo(f"open {out / 'report.html'}")

