"""Finds the words that a script would show: just enough of a JavaScript reader to know what each string is for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

SHOWN = {
    "title",
    "aria-label",
    "aria-description",
    "aria-roledescription",
    "aria-valuetext",
    "placeholder",
    "alt",
    "textContent",
    "innerText",
    "ariaLabel",
    "sentence",
    "note",
    "titles",
    "detail",
    "name",
    "text",
}
"""Properties and attributes that are seen or heard."""

SAID = {"say", "toast", "fillText", "append", "replaceChildren", "prepend", "before", "after", "words", "op"}
"""Functions that show what they are given."""

BUILDS = {"h", "s"}
"""Functions whose third argument and all after it are shown."""

WORD = re.compile(r"[^\W\d_]{2,}")
PROSE = re.compile(r"[A-Za-z]{2,} [a-z]{2,}|^[A-Z][a-z]+$|^[A-Z][a-z]+[ :.,]")
TECHNICAL = re.compile(r"^[a-z]\w*(?:[-.:/]\w+)+$|^[#.\[]|[{}=>]|^\w+/\w+")
_LEXEMES = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<tick>`)
    |(?P<name>[\w$]+)
    |(?P<sign>===|!==|==|!=|=>|\?\?|\?\.|&&|\|\||[-+*/%&|^!~<>=?:;,.()\[\]{}\#@])
    |(?P<space>\s+)""",
    re.S | re.X,
)
_PATTERN = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[dgimsuvy]*")
_ENDS_VALUE = re.compile(r"^(?:[\w$]+|[)\]}])$")
_BEGINS_VALUE = {"return", "typeof", "case", "in", "of", "await", "yield"}


@dataclass
class Open:
    """A bracket that is still open."""

    bracket: str
    called: str = ""  # what stands before it
    argument: int = 0
    key: str = ""  # the property that is being given


@dataclass
class Text:
    """A string, or the part of a template between two `${}`, and what it is for."""

    text: str
    line: int
    before: str
    after: str = ""
    inside: list[Open] = field(default_factory=list)
    assigned: str = ""

    @property
    def compared(self) -> bool:
        """`a === "b"`, or a key as in `{"b": 1}`."""
        signs = {"===", "!==", "==", "!=", "case"}
        return self.before in signs or self.after in signs or (self.after == ":" and self.before in ("{", ","))

    @property
    def shown(self) -> bool:
        """Whether it is put where it is read or heard."""
        for opened in reversed(self.inside):
            if opened.bracket == "{":
                return opened.key in SHOWN or self.assigned in SHOWN
            if opened.bracket == "(" and opened.called:
                if opened.called == "setAttribute":
                    return opened.argument == 1 and opened.key in SHOWN
                return opened.called in SAID or (opened.called in BUILDS and opened.argument >= 2)
            if opened.bracket == "[":
                if opened.called:
                    return False
                if opened.key in SHOWN:
                    return True
        return self.assigned in SHOWN

    @property
    def unseen(self) -> bool:
        """Names of classes and fonts, and what only a developer reads."""
        given = {self.assigned, *(opened.key for opened in self.inside[-1:])}
        return bool(given & {"class", "className", "font"}) or any(
            opened.called in ("warn", "error", "Error", "querySelector", "querySelectorAll") for opened in self.inside
        )


def texts(source: str) -> Iterator[Text]:
    """Every string of a script in its order."""
    found: list[Text] = []
    stack: list[Open] = []
    waiting: list[Text] = []
    before = second = assigned = ""
    at = 0

    def take(text: str, start: int) -> None:
        line = source.count("\n", 0, start) + 1
        inside = [Open(**vars(opened)) for opened in stack]
        found.append(Text(text, line, before, inside=inside, assigned=assigned))
        waiting.append(found[-1])
        if stack and stack[-1].called == "setAttribute" and stack[-1].argument == 0:
            stack[-1].key = text

    while at < len(source):
        inside_template = stack and stack[-1].bracket == "`"
        if inside_template:
            end = re.compile(r"\$\{|`").search(source, at)
            assert end
            while source[end.start() - 1] == "\\":
                end = re.compile(r"\$\{|`").search(source, end.end())
                assert end
            if end.start() > at:
                take(source[at : end.start()], at)
            at = end.end()
            if end[0] == "`":
                stack.pop()
                second, before = before, ")"
            else:
                stack.append(Open("${"))
                second, before = before, "${"
            continue
        if source[at] == "/" and source[at : at + 2] not in ("//", "/*"):
            value = _ENDS_VALUE.match(before) and before not in _BEGINS_VALUE
            pattern = None if value else _PATTERN.match(source, at)
            if pattern:
                at = pattern.end()
                second, before = before, ")"
                continue
        lexeme = _LEXEMES.match(source, at)
        assert lexeme, source[at : at + 40]
        kind, text = str(lexeme.lastgroup), lexeme[0]
        at = lexeme.end()
        if kind in ("comment", "space"):
            continue
        if kind != "tick":
            for one in waiting:
                one.after = text
        waiting = []
        if kind == "string":
            take(text[1:-1], lexeme.start())
            if stack and stack[-1].bracket == "{" and before in ("{", ","):
                stack[-1].key = text[1:-1]
            second, before = before, ")"
            continue
        if kind == "tick":
            stack.append(Open("`", key=stack[-1].key if stack else ""))
        elif text in ("(", "[", "{"):
            called = before if re.fullmatch(r"[\w$]+", before) and before not in _BEGINS_VALUE else ""
            if text == "{":
                called = ""
            elif text == "[" and _ENDS_VALUE.match(before) and before not in _BEGINS_VALUE:
                called = called or "index"
            stack.append(Open(text, called, key=stack[-1].key if stack and text == "[" else ""))
            if text == "{":
                assigned = ""
        elif text in (")", "]", "}"):
            stack.pop()
        elif text == "," and stack:
            stack[-1].argument += 1
            if stack[-1].bracket == "{":
                stack[-1].key = ""
        elif text == ":" and stack and stack[-1].bracket == "{" and second in ("{", ","):
            stack[-1].key = before
        elif text == "=":
            assigned = before if second == "." else ""
        elif text == ";":
            assigned = ""
        second, before = before, text
    yield from found


def bare(source: str) -> list[tuple[int, str]]:
    """Line and text of every string with words in it that is shown, or reads like a sentence."""
    return [
        (one.line, one.text)
        for one in texts(source)
        if not one.compared
        and not one.unseen
        and ((one.shown and WORD.search(one.text)) or (PROSE.search(one.text) and not TECHNICAL.search(one.text)))
    ]
