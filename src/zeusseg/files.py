"""Files written beside and renamed, so that a kill or a full disk never leaves half a file behind."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# It can only be read by setting it, which threads that write files at the same time would see: so once, at the import.
_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder (same suffixes); on success it is renamed to `path`.

    The folder is made. On an exception the temporary file is removed and `path` keeps what it held.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix="".join(path.suffixes[-2:]), dir=path.parent)
    os.close(handle)
    # mkstemp makes private files; what users get back has the permissions that their umask says.
    os.chmod(name, 0o666 & ~_UMASK)
    temporary = Path(name)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def target_file_name(target: str) -> str:
    """A target's name as a file stem: what file systems refuse is replaced by an underscore.

    >>> target_file_name("whole tumor"), target_file_name("GTV/p")
    ('whole tumor', 'GTV_p')
    """
    return re.sub(r'[/\\:*?"<>|\x00-\x1f]', "_", target).strip(". ") or "_"
