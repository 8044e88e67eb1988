"""What was found to look alike, for people and for programs: pairs.csv, pairs.png, groups.json and splits.json."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zeusseg.datasets.leaks import Leaks, without_leaks
from zeusseg.datasets.similar import SimilarPair
from zeusseg.files import write_atomically, write_text
from zeusseg.planes import cut, stretched

if TYPE_CHECKING:
    from PIL import Image

    from zeusseg.case import Case
    from zeusseg.datasets.dataset import Dataset

COLUMNS, PAIRS_PER_SHEET = 6, 60
TILE, TEXT_HEIGHT = 120, 30


def write_leaks(leaks: Leaks, dataset: Dataset, splits: Mapping[str, Sequence[str]], out: Path) -> None:
    """Write what `find_leaks` found into `out`.

    `pairs.csv` with all pairs, `pairs.png` (and `pairs_2.png` …) to look at them, those across splits first,
    and `groups.json` (case to group).
    """
    side = {case_id: name for name, ids in splits.items() for case_id in ids}
    across = {(pair.first, pair.second) for pair, _, _ in leaks.across}
    pairs = sorted(leaks.pairs, key=lambda pair: (pair.first, pair.second) not in across)
    write_text(out / "pairs.csv", _csv(pairs, side))
    write_text(out / "groups.json", json.dumps(leaks.groups, indent=1, ensure_ascii=False) + "\n")
    for sheet in range(0, len(pairs), PAIRS_PER_SHEET):
        name = "pairs.png" if not sheet else f"pairs_{sheet // PAIRS_PER_SHEET + 1}.png"
        _draw(pairs[sheet : sheet + PAIRS_PER_SHEET], dataset, side, out / name)


def write_mended(leaks: Leaks, splits: Mapping[str, Sequence[str]], out: Path, trained_on: str) -> dict[str, int]:
    """Write `out`/splits.json without what leaks (`without_leaks`); returns how many cases each split loses."""
    mended = without_leaks(splits, leaks.groups, trained_on)
    write_text(out / "splits.json", json.dumps(mended, indent=1, ensure_ascii=False) + "\n")
    return {name: len(splits[name]) - len(mended[name]) for name in splits}


def _csv(pairs: Sequence[SimilarPair], side: Mapping[str, str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["first", "second", "split_of_first", "split_of_second", "hash_distance", "correlation",
                     "identical", "labels_differ"])  # fmt: skip
    for pair in pairs:
        sides = (side.get(pair.first, ""), side.get(pair.second, ""))
        writer.writerow([pair.first, pair.second, *sides, pair.distance, f"{pair.correlation:.4f}", pair.identical,
                         pair.labels_differ])  # fmt: skip
    return text.getvalue()


def _draw(pairs: Sequence[SimilarPair], dataset: Dataset, side: Mapping[str, str], path: Path) -> None:
    """A sheet of pairs side by side, each with its names, splits and correlation."""
    from PIL import Image, ImageDraw

    rows = -(-len(pairs) // COLUMNS)
    width, height = 2 * TILE + 16, TILE + TEXT_HEIGHT + 8
    sheet = Image.new("L", (COLUMNS * width, rows * height), 255)
    draw = ImageDraw.Draw(sheet)
    for number, pair in enumerate(pairs):
        left, top = number % COLUMNS * width, number // COLUMNS * height
        for place, case_id in enumerate((pair.first, pair.second)):
            sheet.paste(_tile(dataset.read(case_id, labels=False)), (left + place * (TILE + 2), top))
            draw.text((left + place * (TILE + 2), top + TILE + 1), f"{case_id[-19:]}", fill=0)
        sides = "/".join(dict.fromkeys(side.get(case_id, "-") for case_id in (pair.first, pair.second)))
        said = f"{sides}  {pair.correlation:.3f}{'  identical' if pair.identical else ''}"
        draw.text((left, top + TILE + 14), said, fill=0)
    with write_atomically(path) as temporary:
        sheet.save(temporary, format="PNG")


def _tile(case: Case) -> Image.Image:
    """The middle plane of the reference modality, small and square."""
    from PIL import Image

    planes = cut(case.reference.array, case.slice_axis)
    plane = planes[len(planes) // 2]
    return Image.fromarray(stretched(plane.mean(axis=-1) if plane.ndim == 3 else plane)).resize((TILE, TILE))
