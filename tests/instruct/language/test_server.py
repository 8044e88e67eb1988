"""An endpoint that behaves, and every way in which one may not."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.endpoint import Misbehaviour, say
from zeusseg.errors import BadInputError, UsageError
from zeusseg.instruct.language.answer import Request, UnusableAnswerError
from zeusseg.instruct.language.server import ServerModel, is_loopback

ASK = Request("What do you see?", "finding", (b"png",))
GOOD = json.dumps({"finding": "A bright area."})


pytestmark = pytest.mark.usefixtures("at_once")


def test_text_and_picture_are_sent_and_the_cost_is_counted(endpoint):
    endpoint.script = lambda number, asked: say(GOOD)
    answer = endpoint.model().answer(ASK)
    assert (answer.text, answer.tokens_in, answer.tokens_out, answer.calls) == (GOOD, 100, 20, 1)
    (asked,) = endpoint.asked
    text, picture = asked["messages"][0]["content"]
    assert text == {"type": "text", "text": "What do you see?"}
    assert picture["image_url"]["url"] == "data:image/png;base64,cG5n"
    assert (asked["model"], asked["temperature"]) == ("scripted", 0)
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["finding"]


@pytest.mark.parametrize(
    "misbehaviour",
    [
        Misbehaviour(429, headers={"Retry-After": "0.01"}),
        Misbehaviour(500),
        Misbehaviour(503),
        Misbehaviour(seconds=1.0),
        Misbehaviour(body=b'{"choices": []}' * 20, half=True),
        Misbehaviour(reset=True),
    ],
    ids=["429", "500", "503", "timeout", "half an answer", "reset"],
)
def test_what_may_pass_is_tried_again(endpoint, misbehaviour):
    endpoint.script = lambda number, asked: say(GOOD) if number == 3 else misbehaviour
    assert endpoint.model(timeout=0.3).answer(ASK).text == GOOD
    assert len(endpoint.asked) == 3


@pytest.mark.parametrize(
    ("misbehaviour", "said"),
    [
        (Misbehaviour(429), "answered 429"),
        (Misbehaviour(500, b'{"error": {"message": "out of memory"}}'), "out of memory"),
        (Misbehaviour(seconds=1.0), "timed out"),
        (Misbehaviour(reset=True), "did not answer"),
    ],
    ids=["429", "500", "timeout", "reset"],
)
def test_what_does_not_pass_is_said_after_the_last_attempt(endpoint, misbehaviour, said):
    endpoint.script = lambda number, asked: misbehaviour
    with pytest.raises(BadInputError, match=said):
        endpoint.model(timeout=0.3).answer(ASK)
    assert len(endpoint.asked) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (Misbehaviour(body=b"<html>hello</html>", headers={"Content-Type": "text/html"}), "no chat completion"),
        (Misbehaviour(body=b"not json"), "no chat completion"),
        ({"choices": []}, "no chat completion"),
        ({"hello": "world"}, "no chat completion"),
        ({"choices": {}}, "no chat completion"),
        (say(7), "no chat completion"),
        (say("I begin and", finish_reason="length"), "cut off after 2048 tokens"),
        (say(None, message={"refusal": "I cannot help with that."}), "refused: I cannot help"),
        (say("", finish_reason="content_filter"), "refused"),
    ],
    ids=[
        "a page", "no JSON", "no choice", "another schema", "choices of another kind", "a number", "cut off", "refusal",
        "filtered",
    ],
)
def test_an_answer_that_is_none_is_unusable(endpoint, content, said):
    endpoint.script = lambda number, asked: content
    with pytest.raises(UnusableAnswerError, match=said):
        endpoint.model().answer(ASK)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_stops_everything(endpoint, status):
    endpoint.script = lambda number, asked: Misbehaviour(status, b'{"error": {"message": "no such thing"}}')
    with pytest.raises(UsageError, match=r"refuses the model 'scripted' or the key: .*no such thing"):
        endpoint.model().answer(ASK)
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("status", [403, 404])
def test_once_it_has_answered_a_refusal_is_of_one_question(endpoint, status):
    endpoint.script = lambda number, asked: say(GOOD) if number != 2 else Misbehaviour(status)
    model = endpoint.model()
    model.answer(ASK)
    with pytest.raises(BadInputError, match=f"answered {status}"):
        model.answer(ASK)
    assert model.answer(ASK).text == GOOD


def test_an_endpoint_of_a_model_that_thinks_is_asked_in_its_own_terms(endpoint):
    wrong = Misbehaviour(400, b'{"error": {"message": "Unsupported parameter: max_tokens"}}')
    endpoint.script = lambda number, asked: wrong if "max_tokens" in asked else say(GOOD)
    model = endpoint.model()
    assert [model.answer(ASK).text for _ in range(2)] == [GOOD, GOOD]
    assert len(endpoint.asked) == 3
    assert endpoint.asked[2]["max_completion_tokens"] == 2048
    assert "temperature" not in endpoint.asked[2]
    assert "response_format" in endpoint.asked[2]


def test_two_models_at_one_endpoint_share_its_limit(endpoint):
    def slow(number, asked):
        time.sleep(0.1)
        return say(GOOD)

    endpoint.script = slow
    one = endpoint.model(concurrency=2)
    models = [one, ServerModel(endpoint.url, "other", concurrency=2, beside=one)] * 4
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda model: model.answer(ASK), models))
    assert endpoint.most_at_once == 2


def test_an_endpoint_without_structured_output_is_asked_without_it(endpoint):
    endpoint.script = lambda number, asked: Misbehaviour(400) if "response_format" in asked else say(GOOD)
    model = endpoint.model()
    assert model.answer(ASK).text == GOOD
    assert model.answer(ASK).text == GOOD
    assert ["response_format" in asked for asked in endpoint.asked] == [True, False, False]


def test_the_key_comes_from_the_environment_alone(endpoint, monkeypatch):
    endpoint.script = lambda number, asked: say(GOOD)
    monkeypatch.setenv("OPENAI_API_KEY", "second")
    endpoint.model().answer(ASK)
    monkeypatch.setenv("ZEUSSEG_API_KEY", "first")
    endpoint.model().answer(ASK)
    assert [headers["Authorization"] for headers in endpoint.headers] == ["Bearer second", "Bearer first"]


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://host/v1", "http://", "http://me:secret@h/v1", "http://h:80a0/v1", "http://h/v1?k=secret"],
)
def test_addresses_that_are_none_or_hold_a_key_are_refused(url):
    with pytest.raises(UsageError) as refused:
        ServerModel(url, "m")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("192.168.0.5", False), ("api.example.org", False)],
)
def test_images_that_leave_the_machine_are_announced(host, here):
    assert is_loopback(host) == here
    address = f"[{host}]" if ":" in host else host
    notice = ServerModel(f"http://{address}:9/v1", "m").notice
    assert (notice is None) == here
    assert here or host in notice
