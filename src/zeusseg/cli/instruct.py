"""Commands about instructions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zeusseg.cli.common import Data, Layout, Split, Targets, app, finish
from zeusseg.errors import BadInputError, UsageError

if TYPE_CHECKING:
    from zeusseg.datasets import Dataset


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
