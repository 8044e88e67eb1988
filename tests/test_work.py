"""Work over many cases: in order, in processes where there are many, and errors come out."""

import os
import time

import joblib
import pytest

from zeusseg.work import ITEMS_PER_PROCESS, each


def test_results_come_in_the_order_of_the_items_even_where_later_ones_are_quicker():
    items = [0.2, 0.0, 0.1, *[0.0] * 9]

    def slept(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    assert list(each(slept, items, "sleeping", show=False)) == items


@pytest.mark.skipif(joblib.cpu_count() < 2, reason="one core: there is nothing to share out")
def test_many_items_are_worked_on_outside_of_this_process():
    processes = set(each(lambda item: os.getpid(), range(8 * ITEMS_PER_PROCESS), "asking", show=False))
    assert os.getpid() not in processes


def test_few_items_stay_in_this_process():
    assert set(each(lambda item: os.getpid(), range(2 * ITEMS_PER_PROCESS - 1), "asking", show=False)) == {os.getpid()}


@pytest.mark.parametrize("count", [2, 20])
def test_an_error_is_raised_here(count):
    def broken(item: int) -> None:
        raise ValueError(f"item {item} is broken")

    with pytest.raises(ValueError, match=r"item \d+ is broken"):
        list(each(broken, range(count), "breaking", show=False))


def test_the_bar_says_what_is_done_and_only_where_it_is_wanted(capsys):
    list(each(str, range(3), "counting", show=False))
    assert capsys.readouterr() == ("", "")
