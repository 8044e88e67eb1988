"""Commands about models: training, weights, masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeusseg.cli.common import Data, Groups, Layout, Split, Store, Targets, app, finish
from zeusseg.errors import UsageError


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="Configuration (YAML), for example configs/lgg.yaml.")],
    data: Annotated[Path, typer.Option(help="Folder of labelled cases.")],
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value over the configuration.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    groups: Groups = None,
    splits: Annotated[Path | None, typer.Option(help="splits.json in place of the data's own.")] = None,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Train though images or patients lie on both sides; look for none.")
    ] = False,
    store: Store = None,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Train one model. A split that leaks is refused."""
    from zeusseg.datasets import load_dataset
    from zeusseg.training.config import read_config

    settings = read_config(config, set_)
    dataset = load_dataset(
        data, layout, targets, groups_file=groups, splits_file=splits, allow_leaks=allow_leaks
    )
    from zeusseg.training.run import train as train_run

    trained = train_run(settings, dataset, out, resume=resume, allow_leaks=allow_leaks, store=store)
    typer.echo(f"trained into {trained.folder}")
    finish(trained.failures, done=True)


@app.command()
def pretrain(
    config: Annotated[Path, typer.Argument(help="Configuration (YAML), for example configs/pretrain/resnet-50.yaml.")],
    out: Annotated[Path, typer.Option(help="The folder of weights to write, in transformers' format.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of cases: its training patients' images are learned from, unlabelled.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value over the configuration.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the pretraining in --out.")] = False,
    splits: Annotated[Path | None, typer.Option(help="splits.json in place of the data's own.")] = None,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Make the weights of a vision encoder, from phantoms and from images without labels."""
    from zeusseg.pretraining.config import read_pretrain_config

    settings = read_pretrain_config(config, set_)
    if data is None and (splits or layout or targets):
        raise UsageError("--splits, --layout and --targets say how to read --data, which was not given")
    from zeusseg.datasets import load_dataset
    from zeusseg.pretraining.run import pretrain as pretrain_encoder

    dataset = None if data is None else load_dataset(data, layout, targets, splits_file=splits)
    pretrained = pretrain_encoder(settings, dataset, out, resume=resume)
    typer.echo(f"pretrained {settings.encoder} into {pretrained.folder}")
    finish(pretrained.failures, done=True)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A run folder that `train` wrote.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Where the masks go: OUT/CASE/TARGET.nii.gz.")],
    split: Split = None,
    instructions: Annotated[Path | None, typer.Option(help="Instruction file, instead of the run's writer.")] = None,
    text: Annotated[str | None, typer.Option(help="One instruction for every case, word for word.")] = None,
    clicks: Annotated[
        Path | None, typer.Option(help="Points and boxes beside the words (JSONL), see docs/models.md.")
    ] = None,
    modalities: Annotated[str | None, typer.Option(help="Use only these, for example t1,flair.")] = None,
    multilabel: Annotated[bool, typer.Option("--multilabel", help="Also write one label map per case.")] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write each voxel's probability (0 to 255 for 0 to 1).")
    ] = False,
    store: Store = None,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Segment cases with a trained run."""
    if instructions is not None and text is not None:
        raise UsageError("give --instructions or --text, not both")
    from zeusseg.files import write_text
    from zeusseg.inference.data import data_for, split_cases
    from zeusseg.inference.predict import predict as predict_cases

    dataset = data_for(run, data, layout, targets)
    ids = split_cases(dataset, split, [run])
    splits = run / "splits.json"
    if splits.is_file():
        # Beside the masks, so that `evaluate --split` knows the draw that this run was trained with.
        write_text(out / "splits.json", splits.read_text(encoding="utf-8"))
    predicted = predict_cases(
        run, dataset, out, case_ids=ids, instructions=instructions, text=text, clicks=clicks,
        modalities=modalities.split(",") if modalities else None, multilabel=multilabel,
        probabilities=probabilities, store=store,
    )
    typer.echo(f"{len(predicted.done)} cases in {out}")
    finish(predicted.failures, done=bool(predicted.done))
