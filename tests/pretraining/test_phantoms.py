"""Phantoms as teachers: their labels, what is true of their lesions, and the folder that keeps them."""

import pytest
import torch

import zeusseg.pretraining.phantoms as teachers
from zeusseg.datasets.phantom import make_phantom
from zeusseg.planes import cut
from zeusseg.pretraining.config import PhantomsConfig

SMALL = {"shape": (48, 40, 6), "spacing_mm": (4.0, 4.0, 12.0)}
CONFIG = PhantomsConfig(count=3, **SMALL)


def test_labels_lie_on_the_slices():
    phantom = make_phantom(5, randomise=True, **SMALL)
    sliced = teachers.phantom_slices(phantom)
    assert sliced.labels.shape == sliced.stack.images.shape[1:4] == (6, 40, 48)
    assert torch.equal(sliced.labels, torch.from_numpy(cut(phantom.case.labels.array, 2).copy()))


@pytest.mark.parametrize("seed", range(4))
def test_attributes_are_what_the_truth_says_of_a_single_lesion(seed):
    phantom = make_phantom(seed, lesions=1, modalities=("t1", "t1ce", "flair"), **SMALL)
    attributes = teachers.phantom_slices(phantom).attributes
    for place, name in enumerate(("t1", "t1ce", "flair")):
        (lesion,) = phantom.truth[name].lesions
        for attribute, code in attributes.items():
            word = getattr(lesion, attribute)
            expected = -1 if word is None else teachers.ATTRIBUTES[attribute].index(word)
            assert code[place] == expected, (name, attribute)


def test_where_lesions_differ_or_are_none_nothing_is_claimed():
    none = teachers.phantom_slices(make_phantom(0, lesions=0, modalities=("t1",), **SMALL)).attributes
    assert all(code.tolist() == [-1] for code in none.values())
    phantoms = (make_phantom(seed, lesions=2, modalities=("t1",), **SMALL) for seed in range(30))
    sides = {
        tuple(sorted({lesion.side for lesion in phantom.truth["t1"].lesions})):
            int(teachers.phantom_slices(phantom).attributes["side"][0])
        for phantom in phantoms
    }
    assert sides[("left", "right")] == -1
    assert sides[("left",)] == 0


def test_phantoms_are_made_once_and_a_damaged_one_again(tmp_path, monkeypatch):
    made = []

    def watch(body, *rest, **more):
        made.append(body)
        return make_phantom(body, *rest, **more)

    monkeypatch.setattr(teachers, "make_phantom", watch)
    first = teachers.load_phantoms(CONFIG, 0, tmp_path, progress=False)
    assert len(made) == 3
    assert [case.modalities[-1] for case in first] == ["ct"] * 3
    assert [len(case.modalities) for case in first] == [5, 4, 5]
    broken = sorted(tmp_path.iterdir())[0]
    content = broken.read_bytes()
    broken.unlink()  # what was loaded still lies in the file
    broken.write_bytes(content[:100])
    again = teachers.load_phantoms(CONFIG, 0, tmp_path, progress=False)
    assert len(made) == 4
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.stack.images, other.stack.images)
        assert torch.equal(one.labels, other.labels)
        assert one.tissue == other.tissue
    teachers.load_phantoms(CONFIG, 1, tmp_path, progress=False)
    assert len(made) == 7
