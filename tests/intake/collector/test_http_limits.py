"""Bounds of requests: bodies as sent and as inflated, batches, and events a second."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from http_house import OTHER, SUCCESS, House, batch, house_catalog, page, running_house

from analytics_platform.catalog import Catalog
from analytics_platform.intake.collector.limits import Body, Buffers, ClientGoneError, RateLimits, RequestLimits
from analytics_platform.intake.collector.refusals import Code, RequestRefusedError
from analytics_platform.intake.outcomes import Reason

LIMITS = RequestLimits(body_bytes=100_000, buffered_bytes=1_000_000, messages=50, events_per_second=10)


@pytest.fixture(scope="module")
def own_catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return house_catalog(tmp_path_factory.mktemp("tenants"))


@pytest.fixture
def house(own_catalog: Catalog, tmp_path: Path) -> Iterator[House]:
    with running_house(tmp_path, own_catalog, limits=LIMITS) as found:
        yield found


def test_a_compressed_batch_is_taken_in(house: House) -> None:
    body = gzip.compress(orjson.dumps(batch(page())))

    assert house.post("/v1/batch", body, content_encoding="gzip").content == SUCCESS
    assert house.post("/v1/batch", body, content_encoding="GZIP ").content == SUCCESS


def test_gzip_of_several_members_is_one_body(house: House) -> None:
    body = orjson.dumps(batch(page()))

    sent = gzip.compress(body[:20]) + gzip.compress(body[20:])
    assert house.post("/v1/batch", sent, content_encoding="gzip").content == SUCCESS
    assert len(house.admitted) == 1


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b" " * 200_000),
        b"".join(gzip.compress(b" " * 40_000) for _ in range(3)),
        gzip.compress(b" " * 500_000_000, 1)[:99_000],
    ],
    ids=["one member", "many members", "half a gigabyte, cut"],
)
def test_a_bomb_is_refused_as_too_large(house: House, body: bytes) -> None:
    assert len(body) < LIMITS.body_bytes
    answer = house.post("/v1/batch", body, content_encoding="gzip")

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(orjson.dumps(batch(page())))[:-9],
        gzip.compress(orjson.dumps(batch(page()))) + b"trailing",
        zlib.compress(b"{}"),
        b"plain",
        b"\x1f\x8b",
    ],
)
def test_damaged_gzip_is_refused(house: House, body: bytes) -> None:
    answer = house.post("/v1/batch", body, content_encoding="gzip")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body")
    assert house.spool.given == []


def test_an_unknown_encoding_is_refused(house: House) -> None:
    answer = house.post("/v1/batch", b"", content_encoding="br")

    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_encoding")


def test_a_body_beyond_the_bound_is_refused_and_one_at_it_is_not(house: House) -> None:
    body = orjson.dumps(batch(page()))
    at, beyond = body.ljust(LIMITS.body_bytes), body.ljust(LIMITS.body_bytes + 1)

    assert house.post("/v1/batch", at).content == SUCCESS
    answer = house.post("/v1/batch", beyond)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_too_many_messages_are_refused(house: House) -> None:
    most = [page(str(number)) for number in range(LIMITS.messages)]

    assert house.post("/v1/batch", batch(*most)).content == SUCCESS
    answer = house.post("/v1/batch", batch(*most, page("more")))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_messages")


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


HEAVY = {
    "large context": (b'"context":{"x":"%s"}' % (b"y " * 30_000), Reason.TOO_LARGE),
    "deep context": (b'"context":' + deep(400), Reason.TOO_COMPLEX),
    "deep integrations": (b'"integrations":' + deep(900), Reason.TOO_COMPLEX),
    "wide context": (orjson.dumps({"context": {str(n): n for n in range(2_000)}})[1:-1], Reason.TOO_COMPLEX),
    "long sentAt": (b'"sentAt":"%s"' % (b"y" * 60_000), Reason.TOO_LARGE),
    "deep sentAt": (b'"sentAt":' + deep(400), Reason.TOO_COMPLEX),
}


@pytest.mark.parametrize(("said", "reason"), HEAVY.values(), ids=HEAVY)
def test_what_a_batch_says_for_all_makes_each_message_a_dead_letter_where_it_is_too_much_and_is_not_repeated(
    house: House, said: bytes, reason: Reason
) -> None:
    messages = [page(str(number)) for number in range(50)]
    answer = house.post("/v1/batch", b'{"batch":%s,%s}' % (orjson.dumps(messages), said))

    assert answer.status_code == 200
    assert answer.json()["rejected"] == [{"messageId": str(number), "code": reason} for number in range(50)]
    assert [letter.raw for letter in house.letters] == [orjson.dumps(message) for message in messages]
    assert all(letter.reason == reason and letter.is_cut and not letter.shared for letter in house.letters)
    assert sum(len(each.line) for each in house.spool.given) < 50 * 1_000
    assert house.collector._buffers.held == 0


def test_what_a_batch_says_for_all_stays_with_a_message_that_is_refused_for_itself(house: House) -> None:
    context = {"x": "y" * 20_000}
    answer = house.post("/v1/batch", batch(page(), {"type": "page"}, context=context))

    assert [each["code"] for each in answer.json()["rejected"]] == ["invalid_envelope"]
    assert [(letter.shared, letter.is_cut) for letter in house.letters] == [({"context": context}, False)]


@pytest.fixture
def small_house(own_catalog: Catalog, tmp_path: Path) -> Iterator[House]:
    limits = RequestLimits(outcome_bytes=200_000, buffered_bytes=300_000, events_per_second=10)
    with running_house(tmp_path, own_catalog, limits=limits) as found:
        yield found


@pytest.mark.parametrize("is_refused", [False, True], ids=["admitted", "dead letters"])
def test_a_batch_that_becomes_too_much_is_refused_whole_and_holds_nothing_afterwards(
    small_house: House, *, is_refused: bool
) -> None:
    messages = [page(str(number), userId=["no text"] if is_refused else "u") for number in range(50)]
    answer = small_house.post("/v1/batch", batch(*messages, context={"x": "y" * 8_000}))

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert small_house.spool.given == []
    assert small_house.collector._buffers.held == 0
    assert small_house.post("/v1/batch", batch(*messages[:20], context={"x": "y" * 8_000})).status_code == 200


def test_a_batch_that_was_judged_in_vain_counts_for_its_keys_limit(small_house: House) -> None:
    messages = [page(str(number)) for number in range(50)]
    statuses = [
        small_house.post("/v1/batch", batch(*messages, context={"x": "y" * 8_000})).status_code for _ in range(4)
    ]

    assert statuses == [413, 413, 413, 429]


def test_what_messages_become_counts_with_the_bodies_of_all_requests(small_house: House) -> None:
    many = batch(*(page(str(number)) for number in range(20)), context={"x": "y" * 8_000})
    small_house.collector._buffers.take(200_000)
    answer = small_house.post("/v1/batch", many)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert small_house.spool.given == []
    assert small_house.collector._buffers.held == 200_000
    small_house.collector._buffers.give_back(200_000)
    assert small_house.post("/v1/batch", many).content == SUCCESS


def test_what_a_batch_says_for_all_never_takes_memory_for_each_message(own_catalog: Catalog, tmp_path: Path) -> None:
    def peak(house: House, context_bytes: int) -> tuple[int, int]:
        messages = [page(str(number)) for number in range(1_000)]
        body = gzip.compress(orjson.dumps(batch(*messages, context={"x": "y" * context_bytes})))
        tracemalloc.start()
        try:
            status = house.post("/v1/batch", body, content_encoding="gzip").status_code
            return status, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    with running_house(tmp_path, own_catalog, limits=RequestLimits(outcome_bytes=5_000_000)) as house:
        (_, usual), admissible, enormous = (peak(house, size) for size in (1, 30_000, 500_000))

    assert (admissible[0], enormous[0]) == (413, 200)
    assert max(admissible[1], enormous[1]) < usual + 20_000_000


def test_a_key_that_sends_too_much_is_told_when_to_come_again_and_others_are_not(house: House) -> None:
    many = batch(*(page(str(number)) for number in range(50)))
    statuses = [house.post("/v1/batch", many).status_code for _ in range(4)]

    assert statuses[:2] == [200, 200]
    answer = house.post("/v1/batch", many)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) >= 1
    assert house.post("/v1/batch", many, key=OTHER).status_code == 200


class SetSeconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def wait_of(rates: RateLimits, events: int, own: int | None = None) -> int | None:
    try:
        rates.take(("t", "k"), events, own)
    except RequestRefusedError as error:
        return error.retry_after_seconds
    return None


def test_after_the_time_it_was_told_a_key_may_send_again() -> None:
    clock = SetSeconds()
    rates = RateLimits(LIMITS, clock)

    assert wait_of(rates, 1_000) is None, "a batch may overdraw a full bucket"
    wait = wait_of(rates, 1)
    assert wait == 91
    clock.now += wait
    assert wait_of(rates, 1) is None


def test_a_keys_own_limit_counts_before_the_deployments() -> None:
    rates = RateLimits(LIMITS, SetSeconds())

    assert wait_of(rates, 1_000, own=1_000) is None
    assert wait_of(rates, 9_000, own=1_000) is None
    assert wait_of(rates, 1, own=1_000) == 1


def test_events_that_were_not_taken_in_do_not_count() -> None:
    rates = RateLimits(LIMITS, SetSeconds())
    rates.take(("t", "k"), 100, None)
    rates.give_back(("t", "k"), 100)

    assert wait_of(rates, 1) is None


def received(*parts: bytes, then: str = "http.request") -> Any:
    events: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": part, "more_body": True} for part in parts
    ]
    events.append({"type": then, "body": b"", "more_body": False})
    waiting = iter(events)

    async def receive() -> MutableMapping[str, Any]:
        return next(waiting)

    return receive


def test_a_body_in_parts_is_one_body_and_what_it_held_is_given_back() -> None:
    buffers = Buffers(100)
    body = Body(LIMITS, buffers)

    assert asyncio.run(body.read(received(b"ab", b"", b"cd"), None)) == b"abcd"
    assert buffers.held == 4
    body.release()
    assert buffers.held == 0


def test_a_client_that_goes_away_leaves_nothing_behind() -> None:
    buffers = Buffers(100)
    body = Body(LIMITS, buffers)

    with pytest.raises(ClientGoneError):
        asyncio.run(body.read(received(b"ab", then="http.disconnect"), None))
    body.release()
    assert buffers.held == 0


def test_all_bodies_together_are_bounded() -> None:
    body = Body(LIMITS, Buffers(3))

    with pytest.raises(RequestRefusedError) as refused:
        asyncio.run(body.read(received(b"ab", b"cd"), None))
    assert (refused.value.code, refused.value.retry_after_seconds) == (Code.UNAVAILABLE, 1)


def test_a_body_that_does_not_end_is_refused_in_time() -> None:
    async def never() -> MutableMapping[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError

    body = Body(RequestLimits(body_seconds=0.01), Buffers(100))
    with pytest.raises(RequestRefusedError) as refused:
        asyncio.run(body.read(never, None))
    assert refused.value.code is Code.TOO_SLOW
