"""Work over many cases: a progress bar with time left, and processes where they pay for their start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# A process takes a second or two to start and import; with fewer cases than these for each, it would not be earned.
ITEMS_PER_PROCESS = 4


def each(
    work: Callable[[Item], Result], items: Sequence[Item], doing: str, *, show: bool = True, threads: int = 0
) -> Iterator[Result]:
    """`work` of every item, in the order of the items, as soon as each is done.

    Many items are shared out among processes, one per core, each with one thread and a few items at a time; `work`
    and what it returns then have to be picklable, and what it changes in memory is lost. What `work` raises is raised
    here, so that a bad case has to come back as a result. With `threads`, so many threads of this process share the
    items instead: for work that waits for others more than it computes. `show` draws a bar that says `doing` on stderr.
    """
    from joblib import Parallel, cpu_count, delayed

    workers = threads or min(cpu_count(), len(items) // ITEMS_PER_PROCESS)
    if workers < 2:
        yield from track(map(work, items), doing, len(items), show=show)
        return
    kind = "threading" if threads else "loky"
    parallel = Parallel(n_jobs=workers, backend=kind, return_as="generator", batch_size=1)
    yield from track(parallel(delayed(work)(item) for item in items), doing, len(items), show=show)


def notify(text: str | None) -> None:
    """Say something on stderr that a user has to know before it starts; nothing, where there is nothing to say."""
    if text:
        from rich.console import Console

        Console(stderr=True).print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)


def track(items: Iterable[Item], doing: str, total: int, *, show: bool = True) -> Iterator[Item]:
    """The items, with a bar on stderr that says `doing`, how many of `total` are done, the rate, and the time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.speed or 0.0
            return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each" if speed else "")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not show) as bar:
        yield from bar.track(items, total=total, description=doing)
