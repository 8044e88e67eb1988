"""The prompts, in plain files; `load_prompts` reads these or a folder of the user's own."""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from zeusseg.errors import UsageError

FIELDS = {
    "reading": {"panels", "modality", "orientation", "instance"},
    "union": {"findings", "instance", "definition", "words"},
}


@dataclass(frozen=True)
class Prompts:
    """The texts for reading a modality and for uniting findings, with their version.

    `version` is the number that the files state, with a digest of their text: an edited prompt is another one.
    """

    reading: str
    union: str
    version: str


def load_prompts(folder: Path | None = None) -> Prompts:
    """Read `reading.txt` and `union.txt` of a folder, or those of the package.

    A file starts with `version: N` and a line `---`; names in braces are filled in (`FIELDS`), doubled braces stay.
    Raises `UsageError` for a file that is missing, has no version, or names something that is not filled in.
    """
    texts, versions, digest = {}, [], hashlib.sha256()
    for name, fields in FIELDS.items():
        file = files(__name__).joinpath(f"{name}.txt") if folder is None else folder / f"{name}.txt"
        try:
            content = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the prompt {file} cannot be read ({error}): --prompts takes a folder with "
                             f"{' and '.join(f'{n}.txt' for n in FIELDS)}") from error  # fmt: skip
        head, line, text = content.partition("\n---\n")
        if not line or not head.startswith("version:"):
            raise UsageError(f"the prompt {file} must start with a line 'version: N' and a line '---'")
        _check_fields(text, fields, str(file))
        texts[name] = text.strip()
        versions.append(head.removeprefix("version:").strip())
        digest.update(text.encode())
    version = f"{'/'.join(dict.fromkeys(versions))}+{digest.hexdigest()[:8]}"
    return Prompts(texts["reading"], texts["union"], version)


def _check_fields(text: str, fields: set[str], file: str) -> None:
    try:
        places = [place for place in string.Formatter().parse(text) if place[1] is not None]
    except ValueError as error:
        raise UsageError(f"the prompt {file} has a brace that is not closed or doubled ({error})") from error
    unknown = sorted({str(name) for _, name, spec, conversion in places if name not in fields or spec or conversion})
    if unknown:
        raise UsageError(f"the prompt {file} names {{{unknown[0]}}}: it can name {', '.join(sorted(fields))}")
