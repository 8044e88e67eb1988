"""Which values the label files of a folder hold: asked where nothing names them."""

from __future__ import annotations

import numpy as np

from zeusseg.datasets.listing import FoundCase, ImageFile, Listing
from zeusseg.datasets.names import LABEL_WORDS, is_named
from zeusseg.errors import BadInputError
from zeusseg.io import read_labels


def split_label(
    case: FoundCase, listing: Listing, label_words: tuple[str, ...]
) -> tuple[list[tuple[str, ImageFile]], list[ImageFile]]:
    """The images and the label files of a case."""
    if not listing.labels_by_name:
        return list(case.images), [ImageFile(case.label)] if case.label else []
    words = label_words or LABEL_WORDS
    images = [(name, file) for name, file in case.images if not is_named(name, words)]
    return images, [file for name, file in case.images if is_named(name, words)]


def label_values_found(listing: Listing, label_words: tuple[str, ...], most: int) -> set[int]:
    """The values in the first `most` label files. Unreadable files are passed over here."""
    if listing.labels_are_masks:
        return {0, 1}
    labels = [file.path for case in listing.cases for file in split_label(case, listing, label_words)[1]]
    found: set[int] = set()
    for path in labels[:most]:
        try:
            found.update(int(value) for value in np.unique(read_labels(path).array))
        except BadInputError:
            continue
    return found
