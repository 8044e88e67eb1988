"""Each layout is recognised by itself, and read."""

import numpy as np
import pytest
from PIL import Image

from zeusseg.case import Target
from zeusseg.datasets import LAYOUTS, load_dataset
from zeusseg.errors import BadInputError, UsageError


def test_brats_files_carry_the_name_of_their_folder(make, image, labels):
    root = make(
        {f"P_0{n}/P_0{n}_{m}.nii.gz": image for n in (1, 2) for m in ("t1ce", "flair", "t1")}
        | {f"P_0{n}/P_0{n}_seg.nii.gz": labels for n in (1, 2)}
        | {"P_01/licence.txt": "free", "P_01/._P_01_t1.nii.gz": "a shadow of macOS"}
    )
    dataset = load_dataset(root)
    assert (dataset.layout, dataset.case_ids, dataset.modalities) == (
        "brats",
        ("P_01", "P_02"),
        ("flair", "t1ce", "t1"),
    )
    assert dataset.targets == (Target("label 1", (1,)), Target("label 2", (2,)))
    assert "nothing names the targets" in dataset.problems[0]
    case = dataset.read("P_02")
    assert list(case.images) == ["flair", "t1ce", "t1"]
    assert np.array_equal(case.labels.array, labels)


def test_brats_of_2018_lies_one_folder_deeper_and_equal_names_stay_apart(make, image):
    root = make(
        {f"{grade}/{case}/{case}_t1.nii.gz": image for grade, case in [("HGG", "01"), ("LGG", "01"), ("LGG", "02")]}
    )
    assert load_dataset(root).case_ids == ("02", "HGG_01", "LGG_01")


def test_brats_of_2023_is_told_by_its_own_suffixes(make, image):
    names = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}
    root = make({f"BraTS-X-1-000/BraTS-X-1-000-{name}.nii.gz": image + k for k, name in enumerate(names)})
    case = load_dataset(root).read("BraTS-X-1-000")
    assert {m: int(v.array.min()) for m, v in case.images.items()} == {"flair": 3, "t1ce": 1, "t1": 0, "t2": 2}


def test_folder_reads_any_names_and_keeps_those_it_does_not_know(make, image, labels):
    dataset = load_dataset(make({"a/T2.nii": image, "a/Perfusion-Map.nii": image, "a/manual_mask.nii": labels}))
    assert (dataset.layout, dataset.modalities) == ("folder", ("t2", "perfusion_map"))
    assert dataset.read("a").labels is not None


def test_folder_reads_pictures_whose_spacing_nobody_knows(make):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    dataset = load_dataset(make({"a/us.png": pixels, "a/mask.png": (pixels > 5).astype(np.uint8) * 255}))
    assert not dataset.spacing_known
    case = dataset.read("a")
    assert case.shape == (4, 3, 1)
    assert case.mask(dataset.targets[0]).sum() == 6
    assert dataset.targets[0].values == (255,)


def test_two_files_for_one_modality_are_kept_apart_by_name_or_refused(make, image):
    files = {"a/t1_in.nii": image, "a/t1_out.nii": image}
    assert load_dataset(make(files)).modalities == ("t1_in", "t1_out")
    dataset = load_dataset(make(files | {"targets.yaml": "modalities: {t1: [t1]}"}))
    assert "2 files for t1" in dataset.problems[0]
    with pytest.raises(BadInputError, match=r"case 'a': 2 files for t1: .*t1_in\.nii, .*t1_out\.nii"):
        dataset.read("a")


def test_files_that_the_targets_file_does_not_name_are_left_out_and_listed(make, image):
    dataset = load_dataset(make({"a/t1.nii": image, "a/t2.nii": image, "targets.yaml": "modalities: {t1: [t1]}"}))
    assert dataset.modalities == ("t1",)
    assert any("t2.nii: 't2' is none of the modalities t1; left out" in problem for problem in dataset.problems)


def msd(**more):
    return {
        "name": "Heart",
        "modality": {"0": "FLAIR", "1": "T1w"},
        "labels": {"0": "background", "1": "Left Atrium", "2": "scar"},
        "training": [{"image": "./imagesTr/la_003.nii.gz", "label": "./labelsTr/la_003.nii.gz"}],
        "test": ["./imagesTs/la_001.nii.gz"],
    } | more


def test_msd_keeps_modalities_on_the_fourth_axis_and_names_targets_itself(make, image, labels):
    both = np.stack([image, image + 100], axis=-1)
    root = make(
        {
            "dataset.json": msd(),
            "imagesTr/la_003.nii.gz": both,
            "imagesTs/la_001.nii.gz": both,
            "labelsTr/la_003.nii.gz": labels,
        }
    )
    dataset = load_dataset(root)
    assert (dataset.layout, dataset.name, dataset.case_ids) == ("msd", "Heart", ("la_001", "la_003"))
    assert [target.name for target in dataset.targets] == ["Left Atrium", "scar"]
    case = dataset.read("la_003")
    assert {m: int(v.array[0, 0, 0]) for m, v in case.images.items()} == {"flair": 0, "t1": 100}
    assert dataset.read("la_001").labels is None


def nnunet(**more):
    return {"channel_names": {"0": "T2", "1": "ADC"}, "labels": {"background": 0, "rim": 1, "core": 2}} | more


def nnunet_files(image, labels):
    files = {f"imagesTr/p_{n}_{c:04d}.nii.gz": image + c for n in (1, 2) for c in (0, 1)}
    return files | {f"labelsTr/p_{n}.nii.gz": labels for n in (1, 2)} | {"imagesTs/q_0000.nii.gz": image}


def test_nnunet_numbers_its_channels_in_the_file_names(make, image, labels):
    dataset = load_dataset(make({"dataset.json": nnunet()} | nnunet_files(image, labels)))
    assert (dataset.layout, dataset.case_ids, dataset.modalities) == ("nnunet", ("p_1", "p_2", "q"), ("t2", "adc"))
    assert dataset.targets == (Target("rim", (1,)), Target("core", (2,)))
    assert dataset.missing("q") == ("adc",)
    assert int(dataset.read("p_1").images["adc"].array.min()) == 1


def test_nnunet_1_has_the_dataset_json_of_msd_and_still_is_nnunet(make, image, labels):
    old = {
        "modality": {"0": "T2", "1": "ADC"},
        "labels": {"0": "background", "1": "rim", "2": "core"},
        "training": [{"image": "./imagesTr/p_1.nii.gz", "label": "./labelsTr/p_1.nii.gz"}],
    }
    dataset = load_dataset(make({"dataset.json": old} | nnunet_files(image, labels)))
    assert dataset.layout == "nnunet"
    assert [target.values for target in dataset.targets] == [(1,), (2,)]


def test_nnunet_regions_unite_values_and_its_ignore_label_is_let_through(make, image, labels):
    content = nnunet(labels={"background": 0, "whole": [1, 2], "core": 2, "ignore": 3})
    labels = labels.copy()
    labels[3, 3, 2] = 3
    dataset = load_dataset(make({"dataset.json": content} | nnunet_files(image, labels)))
    assert dataset.targets == (Target("whole", (1, 2)), Target("core", (2,)))
    case = dataset.read("p_1")
    assert case.mask(dataset.targets[0]).sum() == 5


def test_nnunet_lists_files_that_are_no_channel_and_labels_without_image(make, image, labels):
    files = nnunet_files(image, labels) | {"imagesTr/p_1_0007.nii.gz": image, "labelsTr/p_9.nii.gz": labels}
    problems = load_dataset(make({"dataset.json": nnunet()} | files)).problems
    assert any("p_1_0007.nii.gz: left out" in problem for problem in problems)
    assert any("p_9.nii.gz: a label without an image" in problem for problem in problems)


def medvlsm(*names):
    return [{"img_name": f"{n}.png", "mask_name": f"{n}.png", "prompts": {"p1": "oracle"}} for n in names]


def test_medvlsm_splits_as_its_annotations_and_any_mask_above_zero_is_the_target(make):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    masks = [np.zeros((3, 4), np.uint8), (pixels > 9).astype(np.uint8) * 255, np.stack([pixels // 11 * 255] * 3, -1)]
    root = make(
        {f"images/{n}.png": pixels for n in "abcd"}
        | {f"masks/{n}.png": mask for n, mask in zip("abc", masks, strict=True)}
        | {"anns/train.json": medvlsm("a", "b"), "anns/val.json": medvlsm("c")}
    )
    dataset = load_dataset(root)
    assert (dataset.layout, dataset.modalities) == ("medvlsm", ("image",))
    assert dataset.splits == {"train": ("a", "b"), "val": ("c",)}
    assert [int(dataset.read(n).labels.array.sum()) for n in "abc"] == [0, 2, 1]
    assert dataset.read("d").labels is None
    assert any("d.png: in no annotation file" in problem for problem in dataset.problems)
    assert not dataset.spacing_known


def test_a_layout_can_be_named_instead(make, image):
    assert load_dataset(make({"a/a_t1.nii": image}), layout="folder").layout == "folder"
    with pytest.raises(UsageError, match=f"unknown layout 'dicom': expected one of {', '.join(LAYOUTS)}"):
        load_dataset(make({}), layout="dicom")


def test_a_folder_that_is_none_of_them_is_refused_saying_what_is_expected(make, tmp_path):
    with pytest.raises(UsageError, match=r"none of .* one folder per case"):
        load_dataset(make({"notes.txt": "nothing here"}))
    with pytest.raises(UsageError, match="is not a folder"):
        load_dataset(tmp_path / "nowhere")


def test_links_are_followed(make, image, tmp_path):
    root = make({"a/t1.nii": image})
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "a").symlink_to(root / "a")
    assert load_dataset(tmp_path / "linked").read("a").shape == (4, 5, 3)


def test_a_given_targets_file_goes_over_the_folders_own(make, image, labels, tmp_path):
    root = make(
        {
            "p1a/t1.nii": image,
            "p1a/seg.nii": labels,
            "targets.yaml": "targets: {lesion: {values: [1, 2]}}\nspacing: unknown\npatient_pattern: p\\d",
        }
    )
    (tmp_path / "mine.yaml").write_text("targets: {spot: {values: [2]}}\nignore: [1]")
    dataset = load_dataset(root, targets_file=tmp_path / "mine.yaml")
    assert dataset.targets == (Target("spot", (2,)),)
    assert dataset.patients == {"p1a": "p1"}
    assert not dataset.spacing_known


def test_a_case_without_a_known_patient_is_listed(make, image):
    dataset = load_dataset(make({"p1/t1.nii": image, "x/t1.nii": image, "targets.yaml": "patient_pattern: p\\d"}))
    assert dataset.patients == {"p1": "p1", "x": "x"}
    assert any("case 'x': patient_pattern does not occur" in problem for problem in dataset.problems)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[1]", "must hold an object"),
        ("{", "cannot read"),
        (msd(modality={"zero": "T1"}), "must number the channels"),
        (msd(labels={"1": "x", "y": {}}), "is not a value"),
        (msd(training=[{"image": "imagesTr/a.nii.gz"}, 7]), "7 is neither a file name"),
    ],
)
def test_a_broken_dataset_json_is_refused_naming_it(content, complaint, make):
    with pytest.raises(UsageError, match=complaint) as error:
        load_dataset(make({"dataset.json": content}), layout="msd")
    assert "dataset.json" in str(error.value)


def test_a_picture_can_be_jpeg_and_tiff_too(make, tmp_path):
    root = make({"readme.txt": ""})
    smooth = np.linspace(0, 255, 256).reshape(16, 16).astype(np.uint8)
    (root / "a").mkdir()
    Image.fromarray(smooth).save(root / "a" / "image.jpg")
    Image.fromarray((smooth > 99).astype(np.uint8)).save(root / "a" / "labels.tif")
    case = load_dataset(root).read("a")
    assert case.labels.array.sum() == (smooth > 99).sum()
