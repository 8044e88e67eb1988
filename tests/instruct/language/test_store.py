"""Answers are kept by content, survive, and a broken file is merely asked for again."""

from zeusseg.instruct.language.answer import Answer
from zeusseg.instruct.language.store import AnswerStore, key_of

ASKED = {"model": "m", "text": "What?", "settings": {"temperature": 0, "max_tokens": 9}}


def test_what_was_put_is_got_with_its_cost(tmp_path):
    answer = Answer("A bright area.", 100, 20, 1.5, 2)
    AnswerStore(tmp_path / "store").put(key_of(ASKED), answer, ASKED)
    assert AnswerStore(tmp_path / "store").get(key_of(ASKED)) == answer


def test_keys_follow_content_and_not_order():
    assert key_of(ASKED) == key_of(dict(reversed(ASKED.items())))
    assert key_of(ASKED) != key_of({**ASKED, "text": "Which?"})


def test_nothing_and_broken_files_are_no_answer(tmp_path):
    store = AnswerStore(tmp_path)
    assert store.get(key_of(ASKED)) is None
    store.put(key_of(ASKED), Answer("a"), ASKED)
    (path,) = tmp_path.rglob("*.json")
    for content in ("", "{}", '{"answer": {"other": 1}}', "[]"):
        path.write_text(content)
        assert store.get(key_of(ASKED)) is None
