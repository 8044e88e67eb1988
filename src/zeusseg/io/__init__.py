"""Bytes to `Volume` and back: NIfTI and pictures."""

from zeusseg.io.headers import Header, read_header
from zeusseg.io.masks import read_mask, write_mask
from zeusseg.io.volumes import SUFFIXES, image_suffix, read_channels, read_labels, read_volume, write_volume

__all__ = [
    "SUFFIXES",
    "Header",
    "image_suffix",
    "read_channels",
    "read_header",
    "read_labels",
    "read_mask",
    "read_volume",
    "write_mask",
    "write_volume",
]
