"""The mid-sagittal plane of an ellipse whose axis is known."""

import numpy as np
import pytest

from zeusseg.instruct.symmetry import find_plane, likeness, mirror

EDGES = (2.0, 2.0, 5.0)


def ellipse(middle: tuple[float, float], degrees: float) -> np.ndarray:
    x, y, _ = np.indices((64, 72, 4))
    across, along = (x - middle[0]) * 2.0, (y - middle[1]) * 2.0
    angle = np.deg2rad(degrees)
    u, v = across * np.cos(angle) + along * np.sin(angle), along * np.cos(angle) - across * np.sin(angle)
    return (u / 42) ** 2 + (v / 60) ** 2 <= 1


@pytest.mark.parametrize(("middle", "degrees"), [((31.5, 35.5), 0), ((35.0, 35.5), 0), ((30.0, 34.0), 10)])
def test_the_plane_is_found_where_the_body_lies_and_as_it_is_turned(middle, degrees):
    body = ellipse(middle, degrees)
    image = np.where(body, 100.0, 0.0).astype(np.float32)
    plane = find_plane(body, image, EDGES)
    assert abs(float(plane.distance(middle[0] * 2.0, middle[1] * 2.0))) < 1.5
    assert np.degrees(np.arctan2(plane.normal[1], plane.normal[0])) == pytest.approx(degrees, abs=2.1)


def test_the_distance_is_positive_on_the_patients_right():
    body = ellipse((31.5, 35.5), 0)
    plane = find_plane(body, body.astype(np.float32), EDGES)
    assert plane.distance(100.0, 70.0) > 0 > plane.distance(20.0, 70.0)


def test_a_mirrored_image_has_the_lesion_on_the_other_side():
    body = ellipse((31.5, 35.5), 0)
    image = body.astype(np.float32)
    image[40:50, 30:40] = 2.0
    mirrored = mirror(image, find_plane(body, image, EDGES), EDGES)
    assert mirrored[15:22, 31:39].min() > 1.8
    assert mirrored[42:49, 31:39].max() < 1.2
    assert likeness(image, image, body) == pytest.approx(1.0)
    assert likeness(image, mirrored, body) < 0.2
