"""The store of features: made once, read back to the bit of bfloat16, and whole whatever happens in between."""

import errno
import shutil
from collections import namedtuple

import pytest
import torch

from zeusseg.errors import UsageError
from zeusseg.inference.store import FeatureStore, Record


class Halves(torch.nn.Module):
    """An encoder that counts the images it is shown: two maps, of strides 2 and 4, of one and two channels."""

    channels, strides, fingerprint, trains = (1, 2), (2, 4), "0123456789abcdef", False

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, images):
        self.seen += len(images)
        fine, coarse = images[:, :1, ::2, ::2], images[:, :1, ::4, ::4]
        return [fine, torch.cat([coarse, -coarse], dim=1)]


def image_of(record: Record) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(map(ord, record.image + record.key)))
    return torch.randn(3, *record.size, generator=generator)


def fill(store: FeatureStore, records: list[Record]) -> int:
    return sum(store.fill(store.missing(records), image_of, batch_size=2))


RECORDS = [Record(image, f"plane {plane}", (8, 12)) for image in "ab" for plane in range(3)]


def test_features_come_back_as_bfloat16_of_what_the_encoder_made(tmp_path):
    store = FeatureStore(tmp_path, Halves())
    assert fill(store, RECORDS) == 6
    for record in reversed(RECORDS):
        expected = Halves()(image_of(record)[None])
        for found, wanted in zip(store.read(record), expected, strict=True):
            assert found.dtype == torch.bfloat16
            assert torch.equal(found, wanted[0].bfloat16())


def test_the_encoder_sees_every_image_once_in_this_process_and_in_the_next(tmp_path):
    first = FeatureStore(tmp_path, Halves())
    fill(first, RECORDS + RECORDS)
    fill(first, RECORDS)
    assert first.backbone.seen == 6
    later = FeatureStore(tmp_path, Halves())
    fill(later, [*RECORDS, Record("a", "plane 9", (8, 12))])
    assert later.backbone.seen == 1
    assert torch.equal(later.read(RECORDS[4])[0], first.read(RECORDS[4])[0])


def test_another_encoder_has_a_place_of_its_own(tmp_path):
    class Other(Halves):
        fingerprint = "fedcba9876543210"

    fill(FeatureStore(tmp_path, Halves()), RECORDS)
    assert FeatureStore(tmp_path, Other()).missing(RECORDS) == RECORDS


def test_images_of_different_sizes_share_a_file(tmp_path):
    store = FeatureStore(tmp_path, Halves())
    small, large = Record("a", "small", (4, 4)), Record("a", "large", (16, 8))
    fill(store, [small, large, RECORDS[0]])
    assert [m.shape for m in store.read(large)] == [(1, 8, 4), (2, 4, 2)]
    assert [m.shape for m in store.read(small)] == [(1, 2, 2), (2, 1, 1)]


def test_disk_use_is_said_before_it_is_spent(tmp_path):
    store = FeatureStore(tmp_path, Halves())
    # 4 x 6 pixels of one channel and 2 x 3 of two, two bytes each.
    assert store.bytes_of((8, 12)) == 2 * (4 * 6 + 2 * 2 * 3)
    assert "features of 6 images need 0 MB" in store.announce(RECORDS)
    fill(store, RECORDS)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.features")) == 6 * store.bytes_of((8, 12))
    assert store.announce(store.missing(RECORDS)) is None


def test_what_does_not_fit_on_the_disk_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "total used free")(100, 0, 100))
    with pytest.raises(UsageError, match=r"make room, name another --store, or lower fit\.views"):
        FeatureStore(tmp_path, Halves()).announce(RECORDS)


def test_a_disk_that_fills_up_ends_cleanly_and_the_next_run_goes_on(tmp_path, monkeypatch):
    store = FeatureStore(tmp_path, Halves())
    fill(store, RECORDS[:3])

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("zeusseg.inference.store.os.fsync", full)
    with pytest.raises(UsageError, match="disk is full"):
        fill(store, RECORDS)
    monkeypatch.undo()
    again = FeatureStore(tmp_path, Halves())
    assert again.missing(RECORDS) == RECORDS[3:]
    fill(again, RECORDS)
    for record in RECORDS:
        assert torch.equal(again.read(record)[0], image_of(record)[:1, ::2, ::2].bfloat16())


def test_a_line_of_the_index_that_was_cut_off_is_no_record(tmp_path):
    store = FeatureStore(tmp_path, Halves())
    fill(store, RECORDS)
    index = next(tmp_path.rglob("b.index"))
    # "plane 2\t144" without its end: read as it stands, it would point into another record.
    index.write_text(index.read_text()[:-3])
    again = FeatureStore(tmp_path, Halves())
    assert again.missing(RECORDS) == [RECORDS[5]]
    fill(again, RECORDS)
    assert FeatureStore(tmp_path, Halves()).missing(RECORDS) == []
    for record in RECORDS[3:]:
        assert torch.equal(again.read(record)[0], image_of(record)[:1, ::2, ::2].bfloat16())


def test_what_was_never_made_is_not_read(tmp_path):
    with pytest.raises(KeyError):
        FeatureStore(tmp_path, Halves()).read(RECORDS[0])
