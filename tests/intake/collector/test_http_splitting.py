"""Cutting bodies: it agrees with a parser on what is JSON, keeps bytes as they are, and ends on anything."""

from __future__ import annotations

import json
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.intake.collector.splitting import (
    EnvelopeError,
    TooManyMessagesError,
    cut,
    cut_array,
    cut_object,
    cut_quickly,
    text_member,
)

MANY = 1_000

texts = st.text(alphabet=st.one_of(st.sampled_from('{}[],:"\\ \n\tbatch'), st.characters(exclude_categories=["Cs"])))
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
messages = st.lists(st.dictionaries(texts, values, max_size=4) | values, max_size=6)
envelopes = st.dictionaries(texts.filter(lambda name: name != "batch"), values, max_size=4)
spaces = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")])
tokens = st.lists(
    st.sampled_from([b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b'"batch"', b"1", b"NaN", b" ", b"\xff", b"a"]),
    max_size=40,
).map(b"".join)


def body_of(
    envelope: dict[str, object], batch: list[object], at: int, separators: tuple[str, str], ascii_: bool
) -> bytes:
    members = list(envelope.items())
    members.insert(at % (len(members) + 1), ("batch", batch))
    return json.dumps(dict(members), separators=separators, ensure_ascii=ascii_).encode()


@given(envelopes, messages, st.integers(0, 4), spaces, st.booleans())
def test_of_json_it_gives_what_a_parser_gives(
    envelope: dict[str, object], batch: list[object], at: int, separators: tuple[str, str], ascii_: bool
) -> None:
    body = body_of(envelope, batch, at, separators, ascii_)
    found = cut(body, MANY)
    whole = orjson.loads(body)

    assert [orjson.loads(message) for message in found.messages] == whole["batch"]
    assert found.envelope == whole | {"batch": []}
    assert all(message in body for message in found.messages)


@given(envelopes, messages, st.integers(0, 4), spaces, st.booleans())
def test_a_guess_of_which_every_part_is_json_is_right(
    envelope: dict[str, object], batch: list[object], at: int, separators: tuple[str, str], ascii_: bool
) -> None:
    body = body_of(envelope, batch, at, separators, ascii_)
    guess = cut_quickly(body)
    if guess is None:
        return
    with suppress(orjson.JSONDecodeError):
        assert [orjson.loads(message) for message in guess.messages] == orjson.loads(body)["batch"]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_the_batches_of_all_clients_are_cut_by_a_guess(separators: tuple[str, str]) -> None:
    flat = [{"type": "page", "properties": {"a": 1}}, {"type": "track", "properties": {}}]
    for envelope in ({"batch": flat, "sentAt": "x", "writeKey": "y"}, {"writeKey": "y", "batch": flat, "sentAt": "x"}):
        body = json.dumps(envelope, separators=separators).encode()
        assert cut_quickly(body) == cut(body, MANY)


@given(st.binary(max_size=200) | tokens)
def test_any_bytes_come_to_an_end_and_slices_are_verbatim(data: bytes) -> None:
    for body in (data, b'{"batch":[' + data + b"]}"):
        cut_quickly(body)
        for way in (cut, cut_array):
            with suppress(EnvelopeError):
                found = way(body, MANY)
                assert all(message in body for message in (found if isinstance(found, list) else found.messages))
        with suppress(EnvelopeError):
            assert cut_object(body) in body
        text_member(body, "batch")


@given(tokens, tokens)
def test_what_stands_between_good_messages_never_costs_them(before: bytes, bad: bytes) -> None:
    """A bad message either leaves its neighbours as they are, or the whole body is refused."""
    good = b'{"messageId":"good"}'
    body = b'{"batch":[' + b",".join([good, before, bad, good]) + b"]}"
    with suppress(EnvelopeError):
        found = cut(body, MANY).messages
        assert found[0] == good
        assert found[-1] == good


@pytest.mark.parametrize("depth", [10_000, 500_000])
def test_depth_is_no_danger(depth: int) -> None:
    deep = b'{"a":[' * depth + b"]}" * depth

    assert cut(b'{"batch":[' + deep + b",1]}", MANY).messages == [deep, b"1"]


def test_long_texts_and_many_escapes_are_no_danger() -> None:
    long = b'{"a":"' + b"\\n" * 1_000_000 + b"b" * 1_000_000 + b'"}'

    assert cut(b'{"batch":[' + long + b"]}", MANY).messages == [long]


def test_more_messages_than_allowed_are_not_even_cut() -> None:
    with pytest.raises(TooManyMessagesError):
        cut(b'{"batch":[' + b"1," * 11 + b"1]}", 11)
