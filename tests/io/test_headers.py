import gzip

import numpy as np
import pytest
from PIL import Image

from zeusseg.errors import BadInputError
from zeusseg.io import read_header, read_volume


def test_a_header_tells_the_grid_that_the_volume_would_have(save):
    affine = np.array([[0, 0, 1.0, 5], [0, -2.0, 0, 6], [-3.0, 0, 0, 7], [0, 0, 0, 1]])
    path = save(np.arange(24, dtype=np.int16).reshape(2, 3, 4), affine=affine)
    header, volume = read_header(path), read_volume(path)
    assert header.shape == volume.shape == (4, 3, 2)
    assert header.spacing_mm == volume.spacing_mm == (1.0, 2.0, 3.0)
    assert np.array_equal(header.affine, volume.affine)
    assert header.same_grid(read_header(path))


def test_a_header_counts_the_volumes_of_a_4d_file(save):
    assert read_header(save(np.zeros((2, 2, 2, 3), np.int16))).channels == 3


def test_a_picture_has_a_header_too(tmp_path):
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(tmp_path / "picture.png")
    header = read_header(tmp_path / "picture.png")
    assert (header.shape, header.kind) == ((3, 2, 1), "picture")


def test_a_file_compressed_in_several_pieces_is_whole(save):
    path = save(np.random.default_rng(0).integers(0, 9, (8, 8, 8)).astype(np.int16))
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:600]) + gzip.compress(content[600:]))
    assert read_header(path).shape == (8, 8, 8)


def test_fewer_bytes_than_the_header_promises_are_named(save):
    path = save(np.zeros((8, 8, 8), np.int16))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))
    with pytest.raises(BadInputError, match=r"image\.nii\.gz: truncated: 1276 bytes of 1376"):
        read_header(path)
