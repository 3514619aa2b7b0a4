"""Four formats, the same values."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import safetensors.torch
import torch
from fastapi.testclient import TestClient
from PIL import Image

import engine
from app import wire
from app.problems import Invalid, NotAcceptable
from tests.app.conftest import MAPS, problem


def maps(client: TestClient, id: str, accept: str, query: str = "") -> bytes:
    response = client.get(MAPS.format(id=id) + query, headers={"accept": accept})
    assert response.status_code == 200, response.text
    return response.content


def metadata(body: bytes) -> dict[str, str]:
    found = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])["__metadata__"]
    assert isinstance(found, dict)
    return found


def test_safetensors_is_the_engines_answer(client: TestClient, id: str, flagship: engine.Trace) -> None:
    body = maps(client, id, "*/*", "?layers=5,1&heads=11,0-2")
    expected = engine.attention(flagship, layers=[5, 1], heads=[11, 0, 1, 2])
    torch.testing.assert_close(safetensors.torch.load(body)["attention"], expected.values, rtol=0, atol=0)
    header = metadata(body)
    assert json.loads(header["layers"]) == [5, 1]
    assert json.loads(header["heads"]) == [11, 0, 1, 2]
    assert json.loads(header["axes"]) == ["layer", "head", "query", "key"]
    assert header["query_edges"] == "null"
    assert header["trace"] == flagship.digest


def test_the_header_leaves_the_data_aligned(client: TestClient, id: str) -> None:
    assert int.from_bytes(maps(client, id, "*/*")[:8], "little") % 8 == 0


def test_json_reads_back_as_the_same_float32(client: TestClient, id: str, flagship: engine.Trace) -> None:
    body = json.loads(maps(client, id, "application/json", "?layers=2"))
    expected = engine.attention(flagship, layers=[2]).values.numpy()
    np.testing.assert_array_equal(np.array(body["values"], dtype=np.float32), expected)
    assert body["tokens"]["key"] == [token.text for token in flagship.tokens["encoder"]]


def test_csv_reads_back_as_the_same_float32(client: TestClient, id: str, flagship: engine.Trace) -> None:
    text = maps(client, id, "text/csv", "?layers=5&heads=11&queries=10").decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["layer", "head", "query", "key", "query_token", "key_token", "value"]
    expected = engine.attention(flagship, layers=[5], heads=[11], queries=[10]).values.flatten().numpy()
    np.testing.assert_array_equal(np.array([row["value"] for row in rows], dtype=np.float32), expected)
    assert [row["key_token"] for row in rows] == [token.text for token in flagship.tokens["encoder"]]
    assert {row["query_token"] for row in rows} == {"it"}


def test_a_table_is_what_a_csv_writer_makes_of_it() -> None:
    values = torch.tensor([[0.1, -torch.inf], [1e-8, 3.0]])
    words = ['he said "no", twice', "line\r\nbreak"]
    answer = wire.Answer("tensor", values, {"query": [4, 7], "key": [0, 1]}, {"query": words, "key": ["a", ""]}, {})
    file = io.StringIO()
    rows = [[4, 0, words[0], "a", "0.1"], [4, 1, words[0], "", ""], [7, 0, words[1], "a", "1e-8"]]
    csv.writer(file).writerows(
        [["query", "key", "query_token", "key_token", "value"], *rows, [7, 1, words[1], "", "3.0"]]
    )
    assert answer.encode(wire.CSV, "f32").decode() == file.getvalue()
    line = wire.Answer("tensor", values[1], {"model": [0, 5]}, {}, {})
    assert line.encode(wire.CSV, "f32") == b"model,value\r\n0,1e-8\r\n5,3.0\r\n"


def test_a_long_word_is_not_repeated_in_every_row(client: TestClient) -> None:
    words = " ".join(letter * 500 for letter in "abcdefgh")
    id = client.post("/api/v1/traces", json={"text": words}).json()["id"]
    text = maps(client, id, "text/csv", "?layers=0&heads=0").decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert max(len(row["key_token"]) for row in rows) == 64
    assert rows[1]["key_token"] == "a" * 63 + "…"
    pooled = json.loads(maps(client, id, "application/json", "?size=2"))
    assert max(map(len, pooled["tokens"]["key"])) == 64
    whole = json.loads(maps(client, id, "application/json", "?layers=0&heads=0&queries=0"))
    assert whole["tokens"]["key"][1] == "a" * 500


def test_png_shows_layers_down_and_heads_across(client: TestClient, id: str, flagship: engine.Trace) -> None:
    picture = Image.open(io.BytesIO(maps(client, id, "image/png")))
    assert picture.mode == "L"
    assert picture.size == (12 * 15, 6 * 15)
    tile = np.asarray(picture)[5 * 15 : 6 * 15, 11 * 15 : 12 * 15]
    expected = engine.attention(flagship, layers=[5], heads=[11]).values[0, 0].numpy()
    np.testing.assert_array_equal(tile, np.rint(expected * 255).astype(np.uint8))


@pytest.mark.parametrize("stage", ["pattern", "scores", "scores.scaled", "scores.raw"])
def test_bytes_are_within_half_a_step(client: TestClient, id: str, flagship: engine.Trace, stage: str) -> None:
    body = maps(client, id, "*/*", f"?dtype=u8&stage={stage}")
    header = metadata(body)
    low, high = float(header["low"]), float(header["high"])
    if stage == "pattern":
        assert (low, high) == (0, 1)
    back = safetensors.torch.load(body)["attention"].float() / 255 * (high - low) + low
    expected = engine.attention(flagship, stage=stage).values
    assert (back - expected).abs().max() <= 0.5 / 255 * (high - low) * 1.001


def test_a_number_that_half_precision_can_not_hold_is_refused() -> None:
    def halves(*values: float) -> bytes:
        answer = wire.Answer("tensor", torch.tensor(values), {"model": range(len(values))}, {}, {})
        return answer.encode(wire.SAFETENSORS, "f16")

    assert safetensors.torch.load(halves(65504.0, -torch.inf))["tensor"].tolist() == [65504.0, -torch.inf]
    with pytest.raises(Invalid, match="ask for f32"):
        halves(1.0, -1e5)


def test_no_number_is_zero_as_a_byte() -> None:
    assert wire.bytes_of(np.array([0.0, np.nan, 1.0], np.float32), 0.0, 1.0).tolist() == [0, 0, 255]


def test_halves_are_halves(client: TestClient, id: str, flagship: engine.Trace) -> None:
    body = safetensors.torch.load(maps(client, id, "*/*", "?dtype=f16"))["attention"]
    torch.testing.assert_close(body, engine.attention(flagship).values.half(), rtol=0, atol=0)


def test_masked_is_null_empty_and_zero() -> None:
    values = torch.tensor([[1.5, -torch.inf], [0.25, 3.0]])
    answer = wire.Answer("tensor", values, {"query": [0, 1], "key": [0, 1]}, {"key": ["a", "b"]}, {"trace": "x"})
    assert json.loads(answer.encode(wire.JSON, "f32"))["values"] == [[1.5, None], [0.25, 3.0]]
    assert answer.encode(wire.CSV, "f32").decode().splitlines()[2] == "0,1,b,"
    assert safetensors.torch.load(answer.encode(wire.SAFETENSORS, "u8"))["tensor"].tolist() == [[116, 0], [0, 255]]


def test_equal_requests_give_equal_bytes(flagship: engine.Trace) -> None:
    def encoded(media: str) -> bytes:
        values = engine.attention(flagship).values
        axes = {axis: range(size) for axis, size in zip("lhqk", values.shape, strict=True)}
        return wire.Answer("attention", values, axes, {}, {f"key{n}": n for n in range(20)}).encode(media, "f32")

    for media in wire.TENSOR:
        assert encoded(media) == encoded(media)


@pytest.mark.parametrize("constant", [0.0, 2.5])
def test_a_flat_map_has_no_range_to_divide_by(constant: float) -> None:
    answer = wire.Answer("tensor", torch.full((2, 2), constant), {"a": [0, 1], "b": [0, 1]}, {}, {})
    assert safetensors.torch.load(answer.encode(wire.SAFETENSORS, "u8"))["tensor"].tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", wire.SAFETENSORS),
        ("*/*", wire.SAFETENSORS),
        ("application/*", wire.SAFETENSORS),
        ("application/json", wire.JSON),
        ("APPLICATION/JSON; charset=utf-8", wire.JSON),
        ("text/csv;q=0.4, image/png;q=0.9", wire.PNG),
        ("text/*;q=0.5, application/json;q=0.2", wire.CSV),
        ("*/*;q=0.1, image/png;q=0.2", wire.PNG),
        ("application/vnd.safetensors;q=0, */*", wire.JSON),
        ("text/html, application/xhtml+xml, */*;q=0.8", wire.SAFETENSORS),
        ("image/png;q=nonsense, text/csv", wire.CSV),
    ],
)
def test_the_most_wanted_format_wins(accept: str, chosen: str) -> None:
    assert wire.negotiate(accept, wire.TENSOR) == chosen


def test_an_accept_header_may_come_in_several_lines(client: TestClient, id: str) -> None:
    url = MAPS.format(id=id)
    for lines in (["text/html", "text/csv"], ["text/csv;q=0.1", "*/*;q=0"]):
        answer = client.get(url, headers=[("accept", line) for line in lines])
        assert answer.headers["content-type"].startswith("text/csv")


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0", "video/*", "nonsense"])
def test_nothing_wanted_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        wire.negotiate(accept, wire.TENSOR)


def test_a_refused_format_names_those_there_are(client: TestClient, id: str) -> None:
    body = problem(client.get(MAPS.format(id=id), headers={"accept": "text/html"}), 406)
    assert body["offers"] == list(wire.TENSOR)


def test_an_overview_keeps_the_brightest(client: TestClient, id: str, flagship: engine.Trace) -> None:
    body = json.loads(maps(client, id, "application/json", "?size=4&layers=5&heads=11"))
    values = np.array(body["values"])[0, 0]
    assert values.shape == (4, 4)
    whole = engine.attention(flagship, layers=[5], heads=[11]).values[0, 0].numpy()
    rows, columns = body["query_edges"], body["key_edges"]
    assert values[0, 0] == pytest.approx(whole[rows[0] : rows[1], columns[0] : columns[1]].max())
    assert values.max() == pytest.approx(whole.max())
    assert len(body["tokens"]["query"]) == 4


def test_the_overview_of_all_heads_is_small(client: TestClient, id: str) -> None:
    assert len(maps(client, id, "*/*", "?size=32&dtype=u8")) < 20_000


@pytest.mark.parametrize(("over", "shape"), [("heads", (6, 1, 15, 15)), ("all", (1, 1, 15, 15))])
def test_heads_fold_into_their_mean(
    client: TestClient, id: str, flagship: engine.Trace, over: str, shape: tuple[int, ...]
) -> None:
    body = json.loads(maps(client, id, "application/json", f"?reduce=mean&over={over}"))
    values = torch.tensor(body["values"])
    whole = engine.attention(flagship).values
    assert values.shape == shape
    torch.testing.assert_close(values, whole.mean((0, 1) if over == "all" else 1).reshape(shape))
    rows = list(csv.DictReader(io.StringIO(maps(client, id, "text/csv", f"?reduce=mean&over={over}").decode())))
    assert rows[0]["head"] == "mean"
    assert rows[0]["layer"] == ("mean" if over == "all" else "0")
