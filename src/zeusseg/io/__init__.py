"""Bytes to `Volume` and back: NIfTI and pictures."""

from zeusseg.io.headers import Header, read_header
from zeusseg.io.masks import (
    PROBABILITY,
    read_binary_labels,
    read_label_map,
    read_mask,
    read_probability,
    write_mask,
    write_probability,
)
from zeusseg.io.volumes import SUFFIXES, image_suffix, read_channels, read_labels, read_volume, write_volume

__all__ = [
    "PROBABILITY",
    "SUFFIXES",
    "Header",
    "image_suffix",
    "read_binary_labels",
    "read_channels",
    "read_header",
    "read_label_map",
    "read_labels",
    "read_mask",
    "read_probability",
    "read_volume",
    "write_mask",
    "write_probability",
    "write_volume",
]
