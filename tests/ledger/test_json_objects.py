"""A name that stands twice in a JSON object is found, and nothing else is taken for one."""

import json
from contextlib import nullcontext

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.errors import FieldRepeatedError, JsonInvalidError
from ledger.json_objects import check_names
from tests.ledger.reports import CITIZEN

REPORT = {
    "key": "a1",
    "citizen": CITIZEN,
    "level": 2,
    "unit": None,
    "occurred_at": "2024-12-09T21:15:00+07:00",
    "note": "9:00, mẹ Lan",
}
BLANKS = st.sampled_from(["", " ", "\n\t "])
NAMES = st.sampled_from(["key", "note", "unit", '"', "\\", ":", "ă", ""])
TEXTS = st.text('":\\,{}[] aă\n', max_size=8)
VALUES = st.one_of(TEXTS, st.integers(), st.none(), st.booleans(), st.lists(TEXTS, max_size=2))


def spelt(name: str) -> st.SearchStrategy[str]:
    """The ways to write a text: as it is, or each character escaped."""
    escaped = "".join(f"\\u{ord(character):04x}" for character in name)
    return st.sampled_from([json.dumps(name), json.dumps(name, ensure_ascii=False), f'"{escaped}"'])


@st.composite
def objects(draw: st.DrawFn) -> tuple[list[str], str]:
    """Names, and an object that has them in this order."""
    names = draw(st.lists(NAMES, max_size=6))
    members = [
        f"{draw(spelt(name))}{draw(BLANKS)}:{draw(BLANKS)}{json.dumps(draw(VALUES))}{draw(BLANKS)}"
        for name in names
    ]
    return names, "{" + ",".join(members) + "}"


@given(objects())
@example((["key", "note", "note"], '{"key":"a", "note":1, "no\\u0074e":"\\": \\":"}'))
@example((["key", "key"], '{"key":1,"key":1}'))
def test_a_name_that_stands_twice_is_refused_and_nothing_else_is(drawn):
    """However names and values are spelt and spaced, and whatever quotes and colons they hold."""
    names, raw = drawn
    repeated = len(names) > len(set(names))
    for form in (raw, raw.encode()):
        with pytest.raises(FieldRepeatedError) if repeated else nullcontext():
            check_names(form, msgspec.json.decode(form))


def test_the_refusal_says_which_name_but_no_number():
    """A number may stand where a name belongs."""
    with pytest.raises(FieldRepeatedError, match="^'key' stands twice"):
        check_names('{"key":1,"key":2}', {"key": 2})
    with pytest.raises(FieldRepeatedError) as refused:
        check_names(f'{{"{CITIZEN}":1,"{CITIZEN}":2}}', {CITIZEN: 2})
    assert CITIZEN not in str(refused.value)


@pytest.mark.parametrize("digits", [4_300, 4_301, 100_000])
def test_an_integer_of_any_length_is_no_obstacle(digits):
    """Python refuses to read long ones."""
    raw = f'{{"key":"\\"","level":{"9" * digits}}}'
    check_names(raw, {"key": '"', "level": 0})


def test_what_is_nested_beyond_reason_is_refused():
    """As a whole: where it stands, no value can be right."""
    deep = "[" * 100_000 + '""' + "]" * 100_000
    with pytest.raises(JsonInvalidError):
        check_names(f'{{"key":{deep}}}', {"key": ()})


def test_an_ordinary_report_is_not_read_twice(monkeypatch):
    """A second reading would take as long as the first."""
    monkeypatch.setattr("json.loads", None)
    raw = json.dumps(REPORT, ensure_ascii=False)
    check_names(raw, msgspec.json.decode(raw))
