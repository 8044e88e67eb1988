"""Strip plots: every dot at its value, none hidden, nothing executable."""

import math
import re

import numpy as np
import pytest

from zeusseg.report.strip import Dot, strip_plot


def circles(svg):
    return [tuple(map(float, found)) for found in re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', svg)]


@pytest.mark.parametrize("count", [1, 10, 120, 700])
def test_no_dot_hides_another_and_all_lie_inside(count):
    values = np.clip(np.random.default_rng(0).normal(0.9, 0.05, count), 0, 1)
    svg = strip_plot([Dot(float(value), "") for value in values])
    found = np.array(circles(svg))
    assert len(found) == count
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
    assert (found[:, 0] > found[:, 2]).all()
    assert (found[:, 0] < width - found[:, 2]).all()
    assert (found[:, 1] > found[:, 2]).all()
    assert (found[:, 1] < height - found[:, 2]).all()
    gaps = np.linalg.norm(found[:, None, :2] - found[None, :, :2], axis=-1) + 1e9 * np.eye(count)
    assert gaps.min() >= 2 * found[0, 2]


def test_many_equal_values_are_stacked_in_one_column():
    found = np.array(circles(strip_plot([Dot(1.0, "")] * 300)))
    assert set(found[:, 0]) == {744}
    assert len(set(found[:, 1])) == 300


def test_dots_lie_at_their_values():
    found = circles(strip_plot([Dot(0.0, ""), Dot(0.5, ""), Dot(1.0, "")]))
    assert [x for x, _, _ in found] == [16, 380, 744]


def test_the_mean_and_its_interval_are_drawn_where_they_are_numbers():
    dots = [Dot(0.5, "")]
    assert 'class="mean" x1="380.0"' in strip_plot(dots, 0.5, 0.25, 0.75)
    assert 'class="interval" x="198.0" y="0" width="364.0"' in strip_plot(dots, 0.5, 0.25, 0.75)
    assert "interval" not in strip_plot(dots, 0.5, math.nan, math.nan)
    assert "mean" not in strip_plot(dots)


def test_labels_are_escaped_and_links_lead_to_anchors():
    svg = strip_plot([Dot(0.5, "<script>", "shown", "case-1")])
    assert "<script>" not in svg
    assert '<a href="#case-1">' in svg


def test_no_dots_give_an_empty_axis():
    assert circles(strip_plot([])) == []
