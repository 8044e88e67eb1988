"""Data sets on disk, one reader per layout, and the words that name what is in them."""

from zeusseg.datasets.dataset import Dataset
from zeusseg.datasets.describe import Description, describe
from zeusseg.datasets.leaks import Leaks, find_leaks
from zeusseg.datasets.load import LAYOUTS, load_dataset
from zeusseg.datasets.naming import CaseFiles
from zeusseg.datasets.splits import check_splits, draw_splits
from zeusseg.datasets.targets import TargetsFile, dump_targets_file, read_targets_file

__all__ = [
    "LAYOUTS",
    "CaseFiles",
    "Dataset",
    "Description",
    "Leaks",
    "TargetsFile",
    "check_splits",
    "describe",
    "draw_splits",
    "dump_targets_file",
    "find_leaks",
    "load_dataset",
    "read_targets_file",
]
