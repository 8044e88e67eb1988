"""Folders of pictures and masks, laid out as their owners publish them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion

from zeusseg.datasets import load_dataset
from zeusseg.errors import BadInputError
from zeusseg.io import read_binary_labels

POLYP = np.zeros((24, 30), np.uint8)  # rows, columns; across the 8 x 8 blocks that JPEG works in
POLYP[5:15, 9:22] = 255

KVASIR = ("cju0qkwl35piu0993l0dewei2", "ck2bxiswtxuw80838qkisqjwz")
BKAI = ("3736e216b08d237285e26c90e1797c77", "5b1393e2ef89424de1556a26c8eba4c1")


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def picture(path: Path) -> None:
    save(path, np.random.default_rng(0).integers(0, 256, (*POLYP.shape, 3), dtype=np.uint8))


def mask_of(path: Path) -> np.ndarray:
    """(row, column) of 0 and 1, as the picture is seen."""
    return read_binary_labels(path).array[::-1, ::-1, 0].T


@pytest.mark.parametrize(
    ("root", "images", "masks", "name", "target"),
    [
        ("Kvasir-SEG", "images/{}.jpg", "masks/{}.jpg", "kvasir", "polyp"),
        ("CVC-ClinicDB", "Original/{}.tif", "Ground Truth/{}.tif", "clinicdb", "polyp"),
        ("copy", "PNG/Original/{}.png", "PNG/Ground Truth/{}.png", "clinicdb", "polyp"),
        ("data", "train/train/{}.jpeg", "train_gt/train_gt/{}.jpeg", "bkai", "polyp"),
        ("CVC-300", "images/{}.png", "masks/{}.png", "cvc300", "polyp"),
        ("CVC-ColonDB", "images/{}.png", "masks/{}.png", "colondb", "polyp"),
        ("ETIS-LaribPolypDB", "images/{}.png", "masks/{}.png", "etis", "polyp"),
        ("data", "ETIS-LaribPolypDB/{}.tif", "Ground Truth/p{}.tif", "etis", "polyp"),
        ("dfu", "DFUC2022_train_images/{}.jpg", "DFUC2022_train_masks/{}.png", "dfu2022", "foot ulcer"),
    ],
)
def test_a_published_folder_is_read_and_recognised(root, images, masks, name, target, tmp_path):
    ids = {"kvasir": KVASIR, "bkai": BKAI, "dfu2022": ("100001", "100002")}.get(name, ("150", "151"))
    for case_id in ids:
        picture(tmp_path / root / images.format(case_id))
        save(tmp_path / root / masks.format(case_id), POLYP)
    dataset = load_dataset(tmp_path / root)
    assert (dataset.layout, dataset.name, dataset.case_ids) == ("pictures", name, ids)
    assert (dataset.modalities, dataset.splits, dataset.spacing_known) == (("rgb",), None, False)
    assert [t.name for t in dataset.targets] == [target]
    case = dataset.read(ids[0])
    assert case.reference.array.shape == (30, 24, 1, 3)
    assert case.mask(dataset.targets[0]).sum() == 10 * 13
    assert dataset.problems == ()


def test_isic_is_split_as_its_owners_split_it(tmp_path):
    for split, case_id in [("Training", "ISIC_0000000"), ("Training", "ISIC_0000001"), ("Test", "ISIC_0000003")]:
        picture(tmp_path / f"ISBI2016_ISIC_Part1_{split}_Data" / f"{case_id}.jpg")
        save(tmp_path / f"ISBI2016_ISIC_Part1_{split}_GroundTruth" / f"{case_id}_Segmentation.png", POLYP)
    dataset = load_dataset(tmp_path)
    assert dataset.splits == {"train": ("ISIC_0000000", "ISIC_0000001"), "test": ("ISIC_0000003",)}
    assert [target.name for target in dataset.targets] == ["skin lesion"]
    assert dataset.read("ISIC_0000003").mask(dataset.targets[0]).sum() == 130


def test_what_neither_folder_nor_names_tell_gets_a_generic_target(tmp_path):
    picture(tmp_path / "scans" / "images" / "a.png")
    save(tmp_path / "scans" / "masks" / "a.png", POLYP)
    dataset = load_dataset(tmp_path / "scans")
    assert (dataset.name, [target.name for target in dataset.targets]) == ("scans", ["label 1"])


def test_pictures_without_masks_and_masks_without_pictures(tmp_path):
    for name in ("150", "151"):
        picture(tmp_path / "CVC-300" / "images" / f"{name}.png")
    for name in ("151", "152"):
        save(tmp_path / "CVC-300" / "masks" / f"{name}.png", POLYP)
    dataset = load_dataset(tmp_path / "CVC-300")
    assert dataset.read("150").labels is None
    assert dataset.read("151").labels is not None
    assert [problem.rsplit("/", 1)[1] for problem in dataset.problems] == ["152.png: a mask without its picture"]


def test_the_unlabelled_pictures_of_bkai_stay_unread(tmp_path):
    picture(tmp_path / "train" / "train" / f"{BKAI[0]}.jpeg")
    save(tmp_path / "train_gt" / "train_gt" / f"{BKAI[0]}.jpeg", POLYP)
    picture(tmp_path / "test" / "test" / f"{BKAI[1]}.jpeg")
    assert load_dataset(tmp_path).case_ids == (BKAI[0],)


@pytest.mark.parametrize(
    ("root", "case_id", "picture_name", "mask_name", "name"),
    [
        ("kvasir_polyp", KVASIR[0], "{}.jpg", "{}.jpg", "kvasir"),
        ("bkai_polyp", BKAI[0], "{}.jpeg", "{}.jpeg", "bkai"),
        ("clinicdb_polyp", "27", "{}.png", "{}.png", "clinicdb"),
        ("cvc300_polyp", "150", "{}.png", "{}.png", "cvc300"),
        ("colondb_polyp", "52", "{}.png", "{}.png", "colondb"),
        ("etis_polyp", "133", "{}.png", "{}.png", "etis"),
        ("isic", "ISIC_0000350", "{}.jpg", "{}_Segmentation.png", "isic2016"),
        ("dfu", "101570", "{}.jpg", "{}.png", "dfu2022"),
    ],
)
def test_annotation_files_give_the_splits_of_the_same_data_sets(
    root, case_id, picture_name, mask_name, name, make, tmp_path
):
    image, mask = picture_name.format(case_id), mask_name.format(case_id)
    # Both forms that entries have: with a box, sentences and prompts, and with the two file names alone.
    long = {"bbox": [1, 2, 3, 4], "segment_id": case_id, "img_name": image, "mask_name": mask, "prompts": {"p0": ""}}
    short = {"img_name": image, "mask_name": mask}
    picture(tmp_path / "data" / root / "images" / image)
    save(tmp_path / "data" / root / "masks" / mask, POLYP)
    make({f"{root}/anns/train.json": [long], f"{root}/anns/val.json": [], f"{root}/anns/test.json": []})
    dataset = load_dataset(tmp_path / "data" / root)
    assert (dataset.layout, dataset.name) == ("medvlsm", name)
    assert dataset.splits == {"train": (case_id,), "val": (), "test": ()}
    make({f"{root}/anns/train.json": [], f"{root}/anns/test.json": [short]})
    dataset = load_dataset(tmp_path / "data" / root)
    assert dataset.splits == {"train": (), "val": (), "test": (case_id,)}
    assert dataset.read(case_id).mask(dataset.targets[0]).sum() == 130


def test_jpeg_leaves_greys_around_a_mask_that_are_not_part_of_it(tmp_path):
    path = save(tmp_path / "mask.jpg", POLYP)
    stored = np.asarray(Image.open(path))
    assert np.count_nonzero(stored) > np.count_nonzero(POLYP)
    assert np.array_equal(mask_of(path), POLYP // 255)


def test_a_jpeg_without_any_object_is_empty_however_grey(tmp_path):
    assert not mask_of(save(tmp_path / "mask.jpg", np.random.default_rng(0).integers(0, 9, (16, 16), np.uint8))).any()


def test_in_a_coloured_mask_any_channel_counts(tmp_path):
    pixels = np.zeros((24, 30, 3), np.uint8)
    pixels[2:10, 3:12, 0] = 255
    pixels[12:20, 14:26, 1] = 255
    inside = pixels.any(axis=2)
    assert np.array_equal(mask_of(save(tmp_path / "mask.png", pixels)), inside)
    # JPEG keeps colour at half the resolution: the outline may move by a pixel, and no further.
    wrong = mask_of(save(tmp_path / "mask.jpeg", pixels)) != inside
    assert not (wrong & (binary_erosion(inside) | ~binary_dilation(inside))).any()


@pytest.mark.parametrize(
    ("values", "inside"),
    [
        ([0, 1], [0, 1]),
        ([0, 1, 2, 3], [0, 1, 1, 1]),
        ([0, 127, 128, 255], [0, 0, 1, 1]),
        ([0, 0, 0, 0], [0, 0, 0, 0]),
    ],
)
def test_a_lossless_mask_is_cut_at_half_unless_it_numbers_its_objects(values, inside, tmp_path):
    assert mask_of(save(tmp_path / "mask.png", np.array([values], np.uint8))).tolist() == [inside]


def test_sixteen_bit_masks_have_a_range_of_their_own(tmp_path):
    assert mask_of(save(tmp_path / "a.png", np.array([[0, 255]], np.uint16))).tolist() == [[0, 1]]
    assert mask_of(save(tmp_path / "b.png", np.array([[0, 255, 65535]], np.uint16))).tolist() == [[0, 0, 1]]


def test_a_mask_of_fractions_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"mask\.tif: a mask of float32 numbers: expected whole numbers"):
        mask_of(save(tmp_path / "mask.tif", np.array([[0.0, 0.5]], np.float32)))
