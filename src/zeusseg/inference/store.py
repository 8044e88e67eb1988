"""What a frozen encoder makes of images, computed once and kept on disk: training then touches only the light parts.

One folder per encoder; in it two files per image: `IMAGE.features`, records of bfloat16 one after another, read through
memory mapping, and `IMAGE.index`, a line for each record that is complete. IMAGE is a digest of the normalised voxels
themselves, and a record's key says everything that was done to them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zeusseg.errors import UsageError
from zeusseg.models.backbone import Backbone
from zeusseg.models.zeus import ZeusModel

# Augmentation, normalisation and stacking are part of a record's key by this number: raise it when any of them changes.
VERSION = 1


@dataclass(frozen=True)
class Record:
    """One image that the encoder has seen or is to see: of which `image`, changed how (`key`), of which size."""

    image: str
    key: str
    size: tuple[int, int]


class FeatureStore:
    """The features of one encoder below `folder`, made and read one record at a time."""

    def __init__(self, folder: Path | str, backbone: Backbone):
        self.backbone = backbone
        self.folder = Path(folder) / f"{backbone.fingerprint[:16]}-{VERSION}"
        self._indexes: dict[str, dict[str, int]] = {}
        self._maps: dict[str, np.memmap] = {}

    def shapes(self, size: tuple[int, int]) -> list[tuple[int, int, int]]:
        """Shapes (channel, height, width) of the maps of an image of this (height, width)."""
        strides = zip(self.backbone.channels, self.backbone.strides, strict=True)
        return [(channels, size[0] // stride, size[1] // stride) for channels, stride in strides]

    def bytes_of(self, size: tuple[int, int]) -> int:
        """Bytes of one record."""
        return 2 * sum(int(np.prod(shape)) for shape in self.shapes(size))

    def missing(self, records: Iterable[Record]) -> list[Record]:
        """Those that are not there yet, each once."""
        return [record for record in dict.fromkeys(records) if record.key not in self._index(record.image)]

    def announce(self, missing: Sequence[Record]) -> str | None:
        """What computing these will cost, in a sentence; None where there is nothing to do.

        Raises `UsageError` where the disk has no room for them: better now than in the middle.
        """
        if not missing:
            return None
        needed = sum(self.bytes_of(record.size) for record in missing)
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        text = (
            f"features of {len(missing)} images need {gigabytes(needed)} in {self.folder} ({gigabytes(free)} are free)"
        )
        if needed > free:
            raise UsageError(f"{text}: make room, name another --store, or lower fit.views or the image size")
        return text

    def fill(
        self, missing: Sequence[Record], make: Callable[[Record], Tensor], *, batch_size: int = 8, device: str = "cpu"
    ) -> Iterator[int]:
        """Compute records that are missing; `make` gives the image (1 or 3, h, w) of each. Yields how many were done.

        Records of one image are computed by one process at a time; what another has made meanwhile is not made again.
        Raises `UsageError` where the disk is full; what was written before stays.
        """
        by_image: dict[str, list[Record]] = {}
        for record in missing:
            by_image.setdefault(record.image, []).append(record)
        backbone = self.backbone.to(device)
        for image, records in by_image.items():
            with self._lock(image):
                self._indexes.pop(image, None)
                there = self._index(image)
                wanted = [record for record in records if record.key not in there]
                yield len(records) - len(wanted)
                for size in dict.fromkeys(record.size for record in wanted):
                    alike = [record for record in wanted if record.size == size]
                    for start in range(0, len(alike), batch_size):
                        batch = alike[start : start + batch_size]
                        with torch.inference_mode():
                            maps = backbone(torch.stack([make(record) for record in batch]).to(device))
                        self._append(image, batch, maps)
                        yield len(batch)

    def read(self, record: Record) -> list[Tensor]:
        """The maps (channel, height, width) of a record, in bfloat16. Raises `KeyError` where it was not made."""
        start = self._index(record.image)[record.key]
        if record.image not in self._maps or len(self._maps[record.image]) < start + self.bytes_of(record.size):
            self._maps[record.image] = np.memmap(self._path(record.image, "features"), dtype=np.uint8, mode="r")
        stored = self._maps[record.image]
        maps = []
        for shape in self.shapes(record.size):
            length = 2 * int(np.prod(shape))
            # A copy: torch is not to hold on to a file's pages, nor to be handed what it may not write.
            part = np.array(stored[start : start + length])
            maps.append(torch.from_numpy(part).view(torch.bfloat16).reshape(shape))
            start += length
        return maps

    def __getstate__(self) -> dict[str, object]:
        # Other processes open the files themselves, and only read.
        return {**self.__dict__, "_maps": {}}

    def _path(self, image: str, kind: str) -> Path:
        return self.folder / f"{image[:32]}.{kind}"

    def _index(self, image: str) -> dict[str, int]:
        """Where the records of an image start, in bytes."""
        if image not in self._indexes:
            path = self._path(image, "index")
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            lines = (line.split("\t") for line in text[: text.rfind("\n") + 1].splitlines())
            self._indexes[image] = {key: int(start) for key, start in lines}
        return self._indexes[image]

    def _append(self, image: str, records: Sequence[Record], maps: Sequence[Tensor]) -> None:
        halves = [feature.detach().to(torch.bfloat16).cpu() for feature in maps]
        try:
            with self._path(image, "features").open("ab") as file:
                starts = []
                for number in range(len(records)):
                    starts.append(file.seek(0, os.SEEK_END))
                    for half in halves:
                        file.write(half[number].contiguous().view(torch.uint8).numpy().tobytes())
                file.flush()
                # The index must not promise what the disk does not hold.
                os.fsync(file.fileno())
            with self._path(image, "index").open("a", encoding="utf-8") as file:
                file.writelines(f"{record.key}\t{start}\n" for record, start in zip(records, starts, strict=True))
        except OSError as error:
            if error.errno in (ENOSPC, EDQUOT):
                raise UsageError(
                    f"the disk is full: the features in {self.folder} stay as far as they got; make room and run the "
                    "same command again"
                ) from error
            raise
        self._index(image).update({record.key: start for record, start in zip(records, starts, strict=True)})

    @contextmanager
    def _lock(self, image: str) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._path(image, "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            index = self._path(image, "index")
            if index.is_file():
                # A line without its end was cut off by a kill or a full disk: what is added must not continue it.
                os.truncate(index, index.read_bytes().rfind(b"\n") + 1)
            yield


def feature_store(folder: Path, model: ZeusModel) -> FeatureStore:
    """The store of what the model's vision encoder makes of images. Raises `UsageError` where it has none to store."""
    if model.backbone is None or model.backbone.trains:
        raise UsageError("a store keeps what a frozen vision encoder makes of images, and this model's is trained: "
                         "leave --store out, or set model.vision=pretrained:MODEL without lora_rank or unfrozen_blocks")
    return FeatureStore(folder, model.backbone)


def gigabytes(count: int) -> str:
    """Bytes as people say them.

    >>> gigabytes(1_500_000_000), gigabytes(20_000_000)
    ('1.5 GB', '20 MB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
