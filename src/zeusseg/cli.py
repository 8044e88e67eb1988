"""The command line. Thin: each command checks its words, imports what it needs, and calls a function of its name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from zeusseg.errors import BadInputError, UsageError

if TYPE_CHECKING:
    from zeusseg.datasets import Dataset
    from zeusseg.metrics import Definitions

app = typer.Typer(
    help="Segment medical images from instructions written from the images themselves. Research software, not for "
    "clinical use. Exit code 0: all done; 1: done except for the cases that are listed; 2: nothing done.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Data = Annotated[Path, typer.Argument(help="Folder of cases; its layout is recognised.", metavar="DATA")]
Layout = Annotated[str | None, typer.Option(help="brats, msd, nnunet, medvlsm or folder, where recognition is wrong.")]
Targets = Annotated[Path | None, typer.Option("--targets", help="YAML that names targets, modalities and patients.")]
Split = Annotated[str | None, typer.Option(help="Only the cases of this split.")]
Groups = Annotated[Path | None, typer.Option(help="groups.json of check-splits: cases that belong together.")]
Surface = Annotated[str, typer.Option(help="border (voxels) or elements (by area), for surface measures.")]
Tolerances = Annotated[str, typer.Option(help="Tolerances of the surface Dice in mm, for example 1,2.")]
Store = Annotated[Path | None, typer.Option(help="Folder for a frozen encoder's features: each is computed once.")]
Empty = Annotated[str, typer.Option(help="What two empty masks score: nan (left out of means) or one.")]


@app.command()
def info(data: Data, layout: Layout = None, targets: Targets = None) -> None:
    """Say what is in a folder: cases, modalities, grids, targets, problems."""
    from zeusseg.datasets import describe, load_dataset

    description = describe(load_dataset(data, layout, targets, allow_leaks=True))
    typer.echo(description.to_text())
    if description.problems:
        raise typer.Exit(1)


@app.command()
def instruct(
    data: Data,
    out: Annotated[Path, typer.Option(help="The instruction file (JSONL); an existing one is filled up.")],
    writer: Annotated[
        str, typer.Option(help="measured, name, none, shuffled, file:PATH, local:MODEL or server:URL#MODEL.")
    ] = "measured",
    union_writer: Annotated[str, typer.Option(help="What unites findings: another model, or rule.")] = "",
    prompts: Annotated[Path | None, typer.Option(help="Folder with reading.txt and union.txt.")] = None,
    pictures: Annotated[str, typer.Option(help="What models are shown: sheet, or slices (one by one).")] = "sheet",
    concurrency: Annotated[int, typer.Option(help="Calls to a server at a time, or answers in a batch.", min=1)] = 8,
    probe: Annotated[
        int, typer.Option(help="Instead of writing, probe so many cases: do the words depend on the image?")
    ] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would cost.")] = False,
    review: Annotated[bool, typer.Option("--review", help="Only write OUT.review.html: look, correct, save.")] = False,
    corrected: Annotated[Path | None, typer.Option(help="Only take back the file that the review page saved.")] = None,
    split: Split = None,
    seed: Annotated[int, typer.Option(help="Seed of the writer `shuffled`.")] = 0,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Write findings and one instruction per case and target, from the images alone."""
    from zeusseg.datasets import load_dataset
    from zeusseg.inference.data import split_cases
    from zeusseg.instruct.write import missing_lines, write_instructions
    from zeusseg.instruct.writers import make_writer, store_of

    dataset = load_dataset(data, layout, targets, allow_leaks=True)
    ids = split_cases(dataset, split, [])
    if review or corrected is not None:
        return _review(dataset, ids, out, corrected)
    written_by = make_writer(
        writer, source=dataset, seed=seed, store=store_of(out), prompts=prompts, union=union_writer,
        concurrency=concurrency, pictures=pictures,
    )
    if dry_run:
        lines = missing_lines(dataset, written_by, out, ids)
        readings = sum(len(dataset.files[case_id].images) for case_id, _ in lines)
        typer.echo(f"{len(lines)} cases: {written_by.estimate(readings, sum(len(found) for _, found in lines))}")
        return None
    if probe:
        from zeusseg.instruct.probe import probe as probe_writer

        probed = probe_writer(dataset, written_by, out.with_name(out.name + ".probe.json"), case_ids=ids[:probe])
        typer.echo("\n".join(filter(None, (probed.to_text(), written_by.usage_text()))))
        return finish(probed.failures, done=bool(probed.readings))
    written = write_instructions(dataset, written_by, out, case_ids=ids)
    told = {line.case for line in written.instructions}
    typer.echo(f"{len(written.instructions)} instructions of {len(told)} cases in {out}")
    if written.usage:
        typer.echo(written.usage)
    return finish(written.failures, done=bool(written.instructions))


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


@app.command()
def evaluate(
    predictions: Annotated[
        Path, typer.Argument(help="Folder of masks: CASE/TARGET.nii.gz, or label maps CASE.nii.gz of any program.")
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Where scores.csv, summary.json and report.html go.")],
    split: Split = None,
    surface: Surface = "border",
    tolerances: Tolerances = "2",
    empty: Empty = "nan",
    pages: Annotated[bool, typer.Option("--pages", help="Also write a page per case, with its picture.")] = False,
    groups: Groups = None,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Score masks against the labels, with intervals, and make the report."""
    from zeusseg.datasets import load_dataset
    from zeusseg.inference.data import split_cases
    from zeusseg.report.evaluate import evaluate as evaluate_predictions

    dataset = load_dataset(data, layout, targets, groups_file=groups, allow_leaks=True)
    evaluation = evaluate_predictions(
        predictions, dataset, out, split_ids=split_cases(dataset, split, [predictions]),
        definitions=_definitions(surface, tolerances, empty), pages=pages,
    )
    typer.echo(evaluation.to_text())
    typer.echo(f"report: {out / 'report.html'}")
    if evaluation.failures or evaluation.unscored:
        raise typer.Exit(1)


@app.command()
def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="Two or more folders of masks, then the data.", metavar="A B ... DATA")
    ],
    out: Annotated[Path, typer.Option(help="Where comparison.json, patients.csv and comparison.html go.")] = Path(
        "comparison"
    ),
    metrics: Annotated[str, typer.Option(help="Metrics to compare, as in scores.csv: dice,hd95_mm,...")] = "dice",
    split: Split = None,
    surface: Surface = "border",
    tolerances: Tolerances = "2",
    empty: Empty = "nan",
    groups: Groups = None,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Say which of several folders of masks is better, by how much, and how surely."""
    from zeusseg.datasets import load_dataset
    from zeusseg.inference.data import split_cases
    from zeusseg.report.compare import compare as compare_predictions

    if len(folders) < 3:
        raise UsageError("compare takes two or more folders of masks, and the data last: zeusseg compare A B DATA")
    *predictions, data = folders
    dataset = load_dataset(data, layout, targets, groups_file=groups, allow_leaks=True)
    comparison = compare_predictions(
        predictions, dataset, out, split_ids=split_cases(dataset, split, predictions),
        definitions=_definitions(surface, tolerances, empty), metrics=metrics.split(","),
    )
    typer.echo(comparison.to_text())
    typer.echo(f"report: {out / 'comparison.html'}")
    if any(found.failures or found.unscored for found in comparison.evaluations.values()):
        raise typer.Exit(1)


@app.command()
def study(
    study: Annotated[Path, typer.Argument(help="The study (YAML), for example configs/studies/fusion.yaml.")],
    data: Annotated[Path, typer.Option(help="Folder of labelled cases.")],
    out: Annotated[Path, typer.Option(help="Folder of the study; one that is there is gone on with.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value over the base configuration.")] = None,
    groups: Groups = None,
    splits: Annotated[Path | None, typer.Option(help="splits.json in place of the data's own.")] = None,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Train though images or patients lie on both sides; look for none.")
    ] = False,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Train and compare arms: every arm with every seed, scored the same way, with paired statistics."""
    import shlex

    from zeusseg.studies.config import read_study

    read_study(study, set_ or ())
    from zeusseg.datasets import load_dataset
    from zeusseg.studies.run import run_study

    dataset = load_dataset(
        data, layout, targets, groups_file=groups, splits_file=splits, allow_leaks=allow_leaks
    )
    result = run_study(
        study, dataset, out, overrides=set_ or (), allow_leaks=allow_leaks,
        command=shlex.join(["zeusseg", *sys.argv[1:]]),
    )
    typer.echo(result.to_text())
    if result.rows:
        typer.echo(f"tables: {out / 'table.md'}, report: {out / 'report.html'}")
    finish(dict(result.failures), done=bool(result.rows))


@app.command("check-splits")
def check_splits(
    data: Data,
    out: Annotated[Path, typer.Option(help="Where pairs.csv, pairs.png, groups.json and splits.json go.")],
    trained_on: Annotated[str, typer.Option(help="The split to leave cases out of where it shares them.")] = "train",
    splits: Annotated[Path | None, typer.Option(help="splits.json in place of the data's own.")] = None,
    layout: Layout = None,
    targets: Targets = None,
) -> None:
    """Find patients and near-duplicate images on both sides of a split. Exit code 1 where there are some."""
    from zeusseg.datasets import find_leaks, load_dataset
    from zeusseg.report.leaks import write_leaks, write_mended

    dataset = load_dataset(data, layout, targets, splits_file=splits, allow_leaks=True)
    named = dataset.splits or {}
    if named and trained_on not in named:
        raise UsageError(f"there is no split {trained_on!r} to leave cases out of: there are {', '.join(named)}")
    leaks = find_leaks(dataset, named)
    typer.echo(leaks.to_text())
    write_leaks(leaks, dataset, named, out)
    typer.echo(f"groups, pairs and sheets of pictures: {out}")
    if named:
        left_out = write_mended(leaks, named, out, trained_on)
        typer.echo("splits.json leaves out " + ", ".join(f"{count} of {name}" for name, count in left_out.items()))
    if leaks.leaks or leaks.unread:
        raise typer.Exit(1)


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for everything that is made.")] = Path("demo")) -> None:
    """The whole way on phantoms: instructions, training, masks, scores, report. A few minutes on a laptop."""
    from zeusseg.demo import run_demo

    run_demo(out)


def _review(dataset: Dataset, ids: list[str], out: Path, corrected: Path | None) -> None:
    """Take corrections back where there are some, else write the page on which to make them."""
    from zeusseg.instruct.corrections import take_corrections
    from zeusseg.instruct.verify import check_file
    from zeusseg.report.review import write_review

    try:
        if corrected is None:
            page, failures = write_review(dataset, out, case_ids=ids)
            typer.echo(f"page: {page}")
        else:
            taken = take_corrections(out, corrected)
            typer.echo(f"{taken.changed} lines corrected in {out}")
            _, unchecked = check_file(dataset, out, ids, only_checked=True)
            failures = taken.failures | unchecked
    except BadInputError as error:
        raise UsageError(str(error)) from error
    finish(failures, done=True)


def _definitions(surface: str, tolerances: str, empty: str) -> Definitions:
    from zeusseg.metrics import Definitions

    try:
        limits = tuple(float(tolerance) for tolerance in tolerances.split(","))
    except ValueError as error:
        raise UsageError(f"--tolerances takes distances such as 1,2, not {tolerances!r}") from error
    try:
        # Words from outside: `Definitions` checks them.
        return Definitions(surface, limits, empty)  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(str(error)) from error


def finish(failures: dict[str, str], *, done: bool) -> None:
    """List what was left out, and exit 1 for some or 2 for all of it."""
    for case_id, reason in failures.items():
        typer.echo(f"left out: {case_id}: {reason}", err=True)
    if failures:
        raise typer.Exit(1 if done else 2)


def main() -> NoReturn:
    """The entry point: a wrong call is one line on stderr and exit code 2."""
    try:
        app()
    except UsageError as error:
        typer.echo(f"zeusseg: {error}", err=True)
        sys.exit(2)
    sys.exit(0)
