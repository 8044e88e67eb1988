"""Samples: what each stream shows, and what is asked of it."""

import pytest
import torch

from zeusseg.inference.slices import SliceStack
from zeusseg.pretraining.phantoms import ATTRIBUTES, LESIONS, load_phantoms
from zeusseg.pretraining.samples import Streams, slice_attributes
from zeusseg.pretraining.slices import SlicedCase

NONE = -1


@pytest.fixture(scope="module")
def streams(tiny_config, tmp_path_factory):
    config = tiny_config()
    cases = load_phantoms(config.phantoms, 0, tmp_path_factory.mktemp("cache"), progress=False)
    return Streams(cases, cases, config)


def case_with(**codes) -> SlicedCase:
    stack = SliceStack(torch.zeros(2, 1, 8, 8, 1), torch.ones(2, dtype=torch.bool), 2, (1, 8, 8))
    return SlicedCase(("t2", "ct"), stack, (0,), None, {name: torch.tensor(code) for name, code in codes.items()})


LEFT = case_with(polarity=[0, 1], side=[0, 0], enhancement=[NONE, 2])
LESION = torch.full((8, 8), LESIONS[0])


@pytest.mark.parametrize(
    ("modality", "labels", "mirrored", "inverted", "expected"),
    [
        # modality (t1, t1ce, t2, flair, ct), lesion, polarity (bright, dark, iso), side (left, right), enhancement
        (0, LESION, False, False, [2, 1, 0, 0, NONE]),
        (1, LESION, False, False, [4, 1, 1, 0, 2]),
        (1, LESION, True, False, [4, 1, 1, 1, 2]),
        (1, LESION, False, True, [NONE, 1, 0, 0, NONE]),
        (NONE, LESION, False, False, [NONE, 1, NONE, 0, NONE]),
        (0, torch.zeros(8, 8), False, False, [2, 0, NONE, NONE, NONE]),
        (0, torch.zeros(8, 8).index_fill(0, torch.tensor(0), LESIONS[0]), False, False, [2, NONE, NONE, NONE, NONE]),
    ],
    ids=["as it is", "enhancing", "mirrored", "inverted", "several modalities", "no lesion", "hardly a lesion"],
)
def test_only_what_is_true_of_the_view_is_asked(modality, labels, mirrored, inverted, expected):
    assert list(ATTRIBUTES) == ["modality", "lesion", "polarity", "side", "enhancement"]
    asked = slice_attributes(LEFT, modality, labels.long(), mirrored=mirrored, inverted=inverted)
    assert asked.tolist() == expected


def test_a_batch_follows_from_its_number(streams):
    later, first, again = streams.phantom_batch(7), streams.phantom_batch(0), streams.phantom_batch(7)
    assert torch.equal(later.pixels, again.pixels)
    assert torch.equal(later.attributes, again.attributes)
    assert not torch.equal(later.pixels, first.pixels)
    assert torch.equal(streams.image_batch(3).hidden, streams.image_batch(3).hidden)


def test_batches_have_the_shapes_and_ranges_that_encoders_take(streams):
    phantoms, images = streams.phantom_batch(0), streams.image_batch(0)
    assert phantoms.pixels.shape == images.pixels.shape == (3, 3, 64, 64)
    assert phantoms.labels.shape == (3, 64, 64)
    assert phantoms.attributes.shape == (3, 5)
    assert all(float(b.pixels.min()) >= -1 and float(b.pixels.max()) <= 1 for b in (phantoms, images))
    # 60 % of 16 patches.
    assert images.hidden.sum(dim=1).tolist() == [10, 10, 10]


def test_the_stream_of_images_never_looks_at_labels(streams):
    unlabelled = [SlicedCase(case.modalities, case.stack, case.tissue) for case in streams.images]
    blind = Streams(streams.phantoms, unlabelled, streams.config)
    assert torch.equal(blind.image_batch(2).pixels, streams.image_batch(2).pixels)


def test_lesions_are_shown_more_often_than_slices_have_them(streams):
    shown = torch.cat([streams.phantom_batch(step).attributes[:, 1] for step in range(40)])
    lesions = torch.tensor(LESIONS, dtype=torch.uint8)
    slices = torch.cat([torch.isin(case.labels, lesions).flatten(1).any(dim=1) for case in streams.phantoms])
    assert float((shown == 1).float().mean()) > float(slices.float().mean())
