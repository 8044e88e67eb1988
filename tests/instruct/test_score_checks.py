"""Checking is scored on phantoms: what is true is to agree, what is false is not."""

from zeusseg.instruct.score_checks import score_checks


def test_true_statements_agree_and_false_ones_do_not():
    found = score_checks(2, seed=200_000)
    assert {key: counts.total() for key, counts in found.items()} == {
        ("signal", True): 8, ("signal", False): 8, ("side", True): 8, ("side", False): 8, ("size", True): 8,
        ("size", False): 8, ("nothing stands out", True): 8, ("nothing stands out", False): 8, ("a lesion", False): 8,
    }  # fmt: skip
    for (_, is_true), counts in found.items():
        assert counts["agrees"] >= 6 if is_true else counts["agrees"] <= 2
