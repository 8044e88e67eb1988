import numpy as np
import pytest

from zeusseg.datasets import describe, load_dataset

LPS = np.array([[-1.0, 0, 0, 3], [0, -1.0, 0, 4], [0, 0, 1.0, 0], [0, 0, 0, 1]])


@pytest.fixture
def dataset(make, image, labels):
    return load_dataset(
        make(
            {
                "p1_a/flair.nii.gz": image,
                "p1_a/t1.nii.gz": (image, LPS),
                "p1_a/seg.nii.gz": labels,
                "p1_b/flair.nii.gz": image[:, :, :2],
                "p2_a/flair.nii.gz": image,
                "p2_a/t1.nii.gz": image[:2],
                "p2_a/seg.nii.gz": b"broken",
                "targets.yaml": "targets: {lesion: {values: [1, 2]}}\npatient_pattern: p\\d\n"
                "modalities: {flair: [flair], t1: [t1], adc: [adc]}",
                "splits.json": {"train": ["p1_a", "p1_b"], "val": ["p2_a"]},
            }
        )
    )


def test_the_numbers_are_those_of_the_folder(dataset):
    told = describe(dataset)
    assert (told.layout, told.cases, told.patients, told.labelled) == ("folder", 3, 2, 2)
    assert told.modalities == {"flair": 3, "t1": 2}
    assert told.absent_modalities == ("adc",)
    assert told.missing == {"p1_b": ("t1",)}
    assert told.shapes == {(4, 5, 3): 2, (4, 5, 2): 1}
    assert told.spacings_mm == {(1.0, 1.0, 1.0): 3}
    # p1_a's files are only turned differently; p2_a's t1 is smaller.
    assert told.several_grids == ("p2_a",)
    assert told.targets == {"lesion": (1, 2)}
    assert told.splits == {"train": 2, "val": 1}
    assert len(told.problems) == 1
    assert "seg.nii.gz: not a readable NIfTI file" in told.problems[0]


def test_the_text_says_it_all(dataset):
    text = describe(dataset).to_text()
    for line in (
        "layout      folder",
        "cases       3 of 2 patients, 2 with labels",
        "modalities  flair (3), t1 (2)",
        "in no case: adc",
        "missing     p1_b lacks t1",
        "shapes      4x5x3: 2 cases",
        "4x5x2: 1 case\n",
        "spacing     1x1x1 mm: 3 cases",
        "grids       p2_a: files on different grids",
        "targets     lesion = 1 + 2",
        "splits      train (2)",
    ):
        assert line in text


def test_a_4d_file_where_none_belongs_is_a_problem(make, image):
    told = describe(load_dataset(make({"a/t1.nii": np.stack([image, image], -1)})))
    assert "t1.nii: holds 2 volumes: expected 1" in told.problems[0]


def test_a_msd_file_with_too_few_modalities_is_a_problem(make, image):
    content = {
        "modality": {"0": "T1w", "1": "T2w"},
        "labels": {"0": "background", "1": "x"},
        "training": [{"image": "imagesTr/a.nii.gz"}],
    }
    told = describe(load_dataset(make({"dataset.json": content, "imagesTr/a.nii.gz": image})))
    assert "a.nii.gz: holds 1 volumes: expected 2" in told.problems[0]


def test_an_unknown_spacing_is_called_unknown(make):
    told = describe(load_dataset(make({"a/us.png": np.arange(12, dtype=np.uint8).reshape(3, 4)})))
    assert told.spacings_mm is None
    assert told.shapes == {(4, 3, 1): 1}
    assert "spacing     unknown" in told.to_text()


def test_many_shapes_are_summed_up_and_long_lists_cut(make, image):
    files = {f"{n:02}/t1.nii": np.arange((n + 2) * 6, dtype=np.int16).reshape(n + 2, 3, 2) for n in range(24)}
    text = describe(load_dataset(make(files | {"00/t2.nii": np.arange(12, dtype=np.int16).reshape(2, 3, 2)}))).to_text()
    assert "24 different: x 2-25, y 3, z 2; most often" in text
    assert "… and 3 more" in text
