"""The laws of the page's own modules, run where they live."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest


def test_any_state_survives_the_address(module: Any) -> None:
    differing = module(
        "state",
        """m => {
            const any = list => list[Math.floor(Math.random() * list.length)];
            const whole = n => Math.floor(Math.random() * n);
            const texts = ["it", "a & b = c # d + e % f", "القطة 😀", " two  spaces ", "<b>", "e\\u0301\\u200d", ""];
            const patch = () => ({ operation: any(["zero", "knockout"]), address: "encoder.5.self.scores",
                where: any([{}, { head: [whole(9)], key: [1, 3 + whole(9)] }]) });
            const scaled = { operation: "scale", address: "encoder.0.resid.mid", where: {}, factor: 0.5 };
            const patches = () => any([[], [patch()], [patch(), scaled, patch()]]);
            const states = Array.from({ length: 500 }, () => {
                const together = Math.random() < 0.3;
                return {
                    model: "minilm", text: any(texts), pair: any([null, ...texts.slice(0, 6)]),
                    target: any([null, ...texts.slice(0, 6)]), stack: any(["", "decoder"]), block: any(["", "cross"]),
                    site: any(["", "encoder.0.cell.gate.reset"]), form: any(["picture", "table"]),
                    time: any([null, whole(500)]), unit: any([null, whole(500)]),
                    layer: together ? any(["all", whole(99)]) : whole(99),
                    head: together ? any(["mean", "max"]) : whole(99),
                    also: Array.from({ length: whole(4) }, () => ({ layer: whole(9), head: any([whole(9), "max"]) })),
                    view: any(["heatmap", "lines", "text", "bars", "table", "states", "generate", "steps"]),
                    story: any(["", "network"]), at: any(["", "softmax"]), predict: any(["off", "on"]),
                    said: any([null, [], [0], [5, 12, 65535]]), forced: any([[], [0], [2, 11]]),
                    step: any([null, whole(99)]),
                    most: 1 + whole(4096), temperature: any([0, 0.85, 1, 99.5]), top_k: any([null, 1 + whole(50)]),
                    top_p: any([null, 0.9, 1, 1e-7]), penalty: any([1, 0.5, 1.3]), seed: whole(1e9),
                    beams: 1 + whole(16),
                    query: any([null, whole(500)]), key: any([null, whole(500)]), direction: any(["to", "by"]),
                    palette: any(["light", "viridis", "cividis"]), scale: any(["linear", "log"]),
                    special: any(["show", "hide", "renormalise"]), threshold: whole(50) / 100,
                    sort: any(["index", "sharp"]), kind: any(["all", "previous", "first", "own"]),
                    aggregate: any(["mean", "max"]), theme: any(["system", "light", "dark"]),
                    present: any(["off", "on", "heads", "why"]),
                    patches: patches(), compare: any(["off", "panes", "difference"]),
                    vs_model: any([null, "gpt2"]), vs_text: any([null, ...texts.slice(0, 6)]),
                    vs_pair: any([null, "it"]), vs_target: any([null, "le chien"]),
                    vs_stack: any(["", "decoder"]), vs_block: any(["", "cross"]),
                    vs_layer: any([null, "all", whole(9)]), vs_head: any([null, "max", whole(9)]),
                    vs_patches: patches(),
                };
            });
            const again = states.map(state => m.decode("#" + m.encode(state), m.blank()));
            return states.filter((state, i) => JSON.stringify(m.encode(state)) !== JSON.stringify(m.encode(again[i]))
                || Object.keys(state).some(key => JSON.stringify(state[key]) !== JSON.stringify(again[i][key])));
        }""",
    )
    assert differing == []


@pytest.mark.parametrize(
    "hash_",
    [
        "layer=-1&head=1e9",
        "view=__proto__",
        "also=1.2,x,all.3&threshold=9",
        "%%%=%",
        "key",
        "said=1,2&forced=x&step=-1",
        "patches=zero&vs_patches=copy+a.b+key.x&compare=yes&vs_layer=x",
        "temperature=101&top_k=0&top_p=0&penalty=0&seed=1e3&beams=17&most=0",
    ],
)
def test_a_broken_address_is_still_a_state(module: Any, hash_: str) -> None:
    state = module("state", f"m => m.decode({hash_!r}, m.blank())")
    blank = module("state", "m => m.blank()")
    assert state | {"also": []} == blank
    assert state["also"] in ([], [{"layer": 1, "head": 2}])


@pytest.mark.parametrize(
    ("palette", "theme", "rises"),
    [("light", "dark", True), ("light", "light", False), ("viridis", "dark", True), ("cividis", "light", True)],
)
def test_every_ramp_is_one_way_in_lightness(module: Any, palette: str, theme: str, rises: bool) -> None:
    colours = module("colors", f"m => m.ramp('{palette}', '{theme}').css")
    light = [_luminance([int(x) for x in colour[4:-1].split()]) for colour in colours]
    steps = [after - before for before, after in pairwise(light)]
    assert all(step > -2e-3 if rises else step < 2e-3 for step in steps)
    assert abs(light[-1] - light[0]) > 0.6


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_more_weight_is_never_darker(module: Any, scale: str) -> None:
    places = module("colors", f"m => Array.from({{ length: 1001 }}, (_, i) => m.place(i / 1000, '{scale}'))")
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 255)


def test_tensors_are_laid_over_the_bytes_that_came(module: Any) -> None:
    shared, values, odd = module(
        "api",
        """m => {
            const pack = (pad) => {
                const header = JSON.stringify({ __metadata__: { low: "0" },
                    attention: { dtype: "F32", shape: [1, 2], data_offsets: [0, 8] } }) + " ".repeat(pad);
                const text = new TextEncoder().encode(header);
                const buffer = new ArrayBuffer(8 + text.length + 8);
                new DataView(buffer).setBigUint64(0, BigInt(text.length), true);
                new Uint8Array(buffer).set(text, 8);
                const at = 8 + text.length;
                [0.25, 0.75].forEach((x, i) => new DataView(buffer).setFloat32(at + 4 * i, x, true));
                return [buffer, text.length];
            };
            const [, length] = pack(0);
            const [even] = pack((4 - (length % 4)) % 4);
            const [crooked] = pack((5 - (length % 4)) % 4);
            const read = m.parseSafetensors(even).tensors.attention;
            return [read.data.buffer === even, [...read.data], [...m.parseSafetensors(crooked).tensors.attention.data]];
        }""",
    )
    assert shared
    assert values == odd == [0.25, 0.75]


READ = """(m, chunks) => {
    const parser = new m.EventParser();
    return chunks.flatMap(bytes => parser.read(Uint8Array.from(bytes))).map(({ name, data }) => [name, data]);
}"""


def events(module: Any, *chunks: bytes) -> list[list[str]]:
    """What the page's parser makes of bytes that come in these pieces."""
    found: list[list[str]] = module("events", f"m => ({READ})(m, {[list(chunk) for chunk in chunks]})")
    return found


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_events_are_whole_wherever_the_bytes_are_cut(module: Any, end: str) -> None:
    stream = ["event: token", 'data: {"text": "né 😀 雪"}', "", "data: a", "data: b", "", ""]
    sent = end.join(stream).encode()
    expected = [["token", '{"text": "né 😀 雪"}'], ["message", "a\nb"]]
    whole = module(
        "events",
        f"""m => Array.from({{ length: {len(sent)} }}, (_, cut) => {{
            const bytes = {list(sent)};
            return ({READ})(m, [bytes.slice(0, cut), bytes.slice(cut)]);
        }})""",
    )
    assert whole == [expected] * len(sent)
    assert events(module, *(bytes([byte]) for byte in sent)) == expected


def test_events_as_the_standard_has_them(module: Any) -> None:
    assert events(module, b"\xef\xbb\xbfdata: after a mark\n\n") == [["message", "after a mark"]]
    assert events(module, b": a comment\n\nid: 7\nretry: 10\n\n") == []
    assert events(module, b"event: empty\n\ndata\n\n") == [["message", ""]]
    assert events(module, b"data:tight\ndata:  two spaces: and a colon\n\n") == [
        ["message", "tight\n two spaces: and a colon"]
    ]
    assert events(module, b"data: never ended\n") == []


def test_the_best_path_through_a_beam_tree(module: Any) -> None:
    paths = module(
        "generation",
        """m => {
            const node = (parent, id, fate) =>
                ({ parent, token: { id }, kept: fate === "kept", ended: fate === "ended", log_probability: 0 });
            const nodes = [node(null, 5, "kept"), node(null, 6, "kept"), node(0, 7, "kept"), node(1, 9, "ended"),
                node(0, 8, "dropped")];
            return [[5, 7], [6], [5], [5, 8], [1]].map(ids => m.pathOf(nodes, ids));
        }""",
    )
    assert paths == [[0, 2], [1, 3], [0], [], []]


def test_numbers_carry_three_digits(module: Any) -> None:
    numbers = [0, 0.6467, -13.2499, 0.00012345, 1.2345e-7, 999.6, 1234.5, 0.99996]
    written = module("format", f"m => {numbers}.map(m.number)")
    assert written == ["0", "0.647", "−13.2", "0.000123", "1.23×10⁻⁷", "1000", "1235", "1.00"]


def test_a_share_is_told_as_all_or_nothing_only_where_it_is(module: Any) -> None:
    told = module("format", "m => [0, 0.004, 0.01, 0.647, 0.99, 0.997, 1].map(m.percent)")
    assert told == ["0 %", "under 1 %", "1 %", "65 %", "99 %", "over 99 %", "100 %"]


def _luminance(colour: list[int]) -> float:
    linear = [x / 255 / 12.92 if x <= 10 else ((x / 255 + 0.055) / 1.055) ** 2.4 for x in colour]
    return sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_trace_is_made_again_once(module: Any) -> None:
    """What was asked for before that is there then; what is refused afterwards is not asked for again and again."""
    answers = module(
        "session",
        """async ({ Session }) => {
            let made = 0;
            const session = new Session({ trace: async () => void made++ }, () => {});
            const trace = { id: "a", model: "m", text: "t", patches: [] };
            const before = performance.now();
            const together = await Promise.all([session.renew(trace, before), session.renew(trace, before)]);
            const late = await session.renew(trace, before);
            await new Promise(done => setTimeout(done, 20));
            const again = await session.renew(trace, performance.now());
            return [...together, late, again, made];
        }""",
    )
    assert answers == [True, True, True, False, 1]


@pytest.mark.parametrize("size", [(358, 360), (630, 400), (1310, 620)])
def test_a_slanted_label_ends_within_the_picture(module: Any, size: tuple[int, int]) -> None:
    frame = module(
        "views/heatmap",
        f"""m => {{
            const {{ left, width, cell, font, slanted }} = m.frameOf({{
                width: {size[0]}, height: {size[1]}, rows: 9, cols: 9, longest: font => 2.4 * font, unit: 1,
            }});
            return {{ slanted, end: left + width - cell / 2 + 2 + (2.4 * font + font / 2) * Math.SQRT1_2 }};
        }}""",
    )
    assert frame["slanted"]
    assert frame["end"] <= size[0]


def test_projected_lines_stand_as_close_as_their_letters(module: Any) -> None:
    given = "{ width: 800, height: 640, tokens: 17, unit: 32 / 12, least: 32 }"
    frame = module("views/lines", f"m => m.frameOf({given})")
    assert 32 <= frame["pitch"] < 35
    assert frame["height"] <= 640, "all tokens are seen"


def test_formulas_know_numbers_from_what_stands_between_them(module: Any) -> None:
    written = '["3", "−0.25", "1,024", "1.5×10⁻⁷", "∞", ",", ".", "…", "=", "h", "mask", "top 5"]'
    tags = module("steps/math", f"m => [...m.row(...{written}).children].map(one => one.tagName)")
    assert tags == ["mn"] * 5 + ["mo"] * 4 + ["mi"] * 2 + ["mtext"]


def test_what_was_asked_before_never_comes_after_a_known_answer(module: Any) -> None:
    found = module(
        "api",
        """async ({ Api }) => {
            let release;
            const answer = path => new Response(JSON.stringify(path));
            const ask = (url, { signal }) => url.endsWith("slow")
                ? new Promise((done, refuse) => {
                    release = () => done(answer(url));
                    signal.addEventListener("abort", () => refuse(new DOMException("no", "AbortError")));
                  })
                : Promise.resolve(answer(url));
            const api = new Api("", ask);
            await api.json("quick", {}, "here");
            const slow = api.json("slow", {}, "here").then(() => "came", error => error.name);
            const known = await api.json("quick", {}, "here");
            release();
            return [known, await slow];
        }""",
    )
    assert found == ["/quick", "AbortError"]
