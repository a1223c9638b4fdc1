"""Who may sign what, when a signature is void, and what tampering leaves behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from review_tables import Q3, SIGNED_AT, SIGNERS, Tables, at

from analytics_platform.catalog import Catalog
from analytics_platform.governance.review.archive import Review, ReviewMissingError, read_review
from analytics_platform.governance.review.desk import ReviewDesk
from analytics_platform.governance.review.signing import Signing, SigningRefusedError, sign, standing
from analytics_platform.lake.layout import review_key, signature_key, signed_content_key
from analytics_platform.lake.store import LocalStore

NOW = SIGNED_AT


@pytest.fixture
def built(lakes: dict[str, Path], store: LocalStore) -> Review:
    """The review in the test's own lake, unsigned."""
    shutil.copytree(lakes["built"], store.root)
    return read_review(store, "2026Q3")


@pytest.fixture
def signed(lakes: dict[str, Path], store: LocalStore) -> Review:
    """The review in the test's own lake, signed by all."""
    shutil.copytree(lakes["signed"], store.root)
    return read_review(store, "2026Q3")


def asked(built: Review, /, **changed: str) -> Signing:
    return replace(Signing("finance", "Eva Jansen", built.sha256[:12]), **changed)


def bytes_of(store: LocalStore) -> dict[str, bytes]:
    return {info.key: store.get(info.key) for info in store.list("reviews/")}


def test_a_review_is_a_draft_until_every_role_has_signed(desk: ReviewDesk, built: Review) -> None:
    for number, (role, name) in enumerate(SIGNERS.items(), start=1):
        assert desk.show(Q3).standing.status == "DRAFT"
        _, stands = desk.sign(Q3, asked(built, role=role, signer=name), NOW)
        assert len(stands.open_roles) == 3 - number
    shown = desk.show(Q3)
    assert (shown.standing.status, shown.problems) == ("SIGNED", ())


def test_a_signature_names_who_signed_what_as_what_and_when(store: LocalStore, signed: Review) -> None:
    told = json.loads(store.get(signature_key("2026Q3", 1)))
    assert (told["signer"], told["role"], told["signed_at"]) == ("Eva Jansen", "finance", "2026-10-02T09:00:00Z")
    assert told["content_sha256"] == signed.sha256


def test_a_review_that_was_never_built_cannot_be_shown_or_signed(desk: ReviewDesk) -> None:
    with pytest.raises(ReviewMissingError, match="analytics review build 2026Q3"):
        desk.show(Q3)


@pytest.mark.parametrize("shown", ["", "0" * 64, "abc"])
def test_another_content_than_was_shown_is_not_signed(desk: ReviewDesk, built: Review, shown: str) -> None:
    with pytest.raises(SigningRefusedError, match="is not the one of 2026Q3"):
        desk.sign(Q3, asked(built, shown_sha256=shown), NOW)


def test_too_few_characters_of_the_hash_are_refused(desk: ReviewDesk, built: Review) -> None:
    with pytest.raises(SigningRefusedError, match="at least 12 characters"):
        desk.sign(Q3, asked(built, shown_sha256=built.sha256[:11]), NOW)


def test_an_unknown_role_is_refused_and_the_known_ones_are_named(desk: ReviewDesk, built: Review) -> None:
    with pytest.raises(SigningRefusedError, match="finance, operations, data_owner"):
        desk.sign(Q3, asked(built, role="cfo"), NOW)


def test_a_signature_without_a_name_is_refused(desk: ReviewDesk, built: Review) -> None:
    with pytest.raises(SigningRefusedError, match="--name"):
        desk.sign(Q3, asked(built, signer=" "), NOW)


def test_the_same_person_signs_a_role_once(desk: ReviewDesk, built: Review) -> None:
    desk.sign(Q3, asked(built), NOW)
    with pytest.raises(SigningRefusedError, match="has signed this content for finance already"):
        desk.sign(Q3, asked(built, signer="eva  jansen", reason="once more"), NOW)


@pytest.mark.parametrize("other", [{"signer": "Piet Bakker"}, {"role": "operations"}])
def test_another_person_in_a_role_and_a_person_in_two_need_a_reason(
    desk: ReviewDesk, built: Review, other: dict[str, str]
) -> None:
    desk.sign(Q3, asked(built), NOW)
    with pytest.raises(SigningRefusedError, match="--reason"):
        desk.sign(Q3, asked(built, **other), NOW)
    with pytest.raises(SigningRefusedError, match="--reason"):
        desk.sign(Q3, asked(built, reason=" ", **other), NOW)
    signature, _ = desk.sign(Q3, asked(built, reason="She is on leave", **other), NOW)
    assert signature.reason == "She is on leave"


def test_a_preview_of_a_running_quarter_cannot_be_signed(desk: ReviewDesk, tables: Tables) -> None:
    preview = desk.build(tables.warehouse, Q3, "run-1", at(date(2026, 8, 11)))
    with pytest.raises(SigningRefusedError, match="preview up to 2026-08-10"):
        desk.sign(Q3, asked(preview.review), NOW)


def test_an_unchanged_rebuild_changes_no_byte_and_keeps_the_signatures(
    desk: ReviewDesk, tables: Tables, store: LocalStore, signed: Review
) -> None:
    before = bytes_of(store)
    again = desk.build(tables.warehouse, Q3, "run-2", datetime(2026, 11, 20, tzinfo=UTC))
    assert (again.is_changed, again.standing.status) == (False, "SIGNED")
    assert bytes_of(store) == before
    assert again.review.sha256 == signed.sha256


def test_objects_with_the_same_bytes_are_not_written_again(
    desk: ReviewDesk, tables: Tables, store: LocalStore, signed: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(store, "put", lambda key, *_, **__: written.append(key))
    desk.build(tables.warehouse, Q3, "run-2", NOW)
    assert written == []


def test_a_rebuild_that_differs_voids_signatures_keeps_them_and_says_what_differs(
    desk: ReviewDesk, tables: Tables, store: LocalStore, signed: Review
) -> None:
    tables.run("update ops.ledger set duplicates = 3")
    again = desk.build(tables.warehouse, Q3, "run-2", NOW)
    assert (again.is_changed, again.standing.status) == (True, "DRAFT")
    assert [(void.signature.signer, void.differs) for void in again.standing.void] == [
        (name, ("intake",)) for name in SIGNERS.values()
    ]
    assert again.standing.open_roles == tuple(SIGNERS)
    assert desk.show(Q3).problems == ()
    assert store.info(signed_content_key("2026Q3", signed.sha256))


def test_who_signed_before_signs_the_new_content_and_a_successor_gives_a_reason(
    desk: ReviewDesk, tables: Tables, signed: Review
) -> None:
    tables.run("update ops.ledger set duplicates = 3")
    again = desk.build(tables.warehouse, Q3, "run-2", NOW)
    desk.sign(Q3, asked(again.review), NOW)
    with pytest.raises(SigningRefusedError, match="Daan de Wit has signed for operations before"):
        desk.sign(Q3, asked(again.review, role="operations", signer="Piet Bakker"), NOW)


def test_content_that_returns_to_what_was_signed_has_its_signatures_again(
    desk: ReviewDesk, tables: Tables, signed: Review
) -> None:
    for duplicates in (3, 2):
        tables.run(f"update ops.ledger set duplicates = {duplicates}")
        again = desk.build(tables.warehouse, Q3, "run-2", NOW)
    assert (again.standing.status, again.standing.void) == ("SIGNED", ())


def edited(key: str, old: str, new: str) -> Callable[[LocalStore], None]:
    def tamper(store: LocalStore) -> None:
        text = store.get(key).decode()
        assert old in text
        store.put(key, text.replace(old, new, 1).encode())

    return tamper


def moved(store: LocalStore) -> None:
    store.put(signature_key("2026Q3", 4), store.get(signature_key("2026Q3", 3)))
    store.delete(signature_key("2026Q3", 3))


def emptied(store: LocalStore) -> None:
    store.put(signature_key("2026Q3", 1), b"{}")


def first_removed(store: LocalStore) -> None:
    store.delete(signature_key("2026Q3", 1))


def forged_number(store: LocalStore) -> None:
    """A signature and its seal are made anew for another name, but the next one still follows the old seal."""
    from analytics_platform.governance.review.content import canonical
    from analytics_platform.governance.review.signatures import Signature, Statement, sealed

    known = Signature.model_validate_json(store.get(signature_key("2026Q3", 1)))
    statement = Statement.model_validate({**known.model_dump(exclude={"seal"}), "signer": "Somebody Else"})
    store.put(signature_key("2026Q3", 1), canonical(sealed(statement)))


JSON = review_key("2026Q3", "json")


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (edited(JSON, '"source_minor": 1000', '"source_minor": 1001'), "review.json"),
        (edited(signature_key("2026Q3", 2), "Daan de Wit", "Daan de Vries"), "0002.json is not what was sealed"),
        (edited(signature_key("2026Q3", 2), "2026-10-02", "2026-10-01"), "0002.json is not what was sealed"),
        (moved, "0004.json is not in its place"),
        (emptied, "0001.json cannot be read"),
        (first_removed, "0002.json is not in its place"),
        (forged_number, "0002.json does not follow from the signature before it"),
        (edited(review_key("2026Q3", "html"), "SIGNED", "S1GNED"), "review.html"),
        (lambda store: store.delete(review_key("2026Q3", "pdf")), "review.pdf"),
    ],
)
def test_tampering_with_any_object_is_found(
    desk: ReviewDesk, store: LocalStore, signed: Review, tamper: Callable[[LocalStore], None], named: str
) -> None:
    assert desk.show(Q3).problems == ()
    tamper(store)
    assert any(named in problem for problem in desk.show(Q3).problems)


def test_a_kept_content_that_was_changed_or_removed_is_found(
    store: LocalStore, desk: ReviewDesk, signed: Review
) -> None:
    key = signed_content_key("2026Q3", signed.sha256)
    kept = store.get(key)
    store.put(key, kept + b" ")
    assert any("was changed: it is not what was signed" in problem for problem in desk.show(Q3).problems)
    store.delete(key)
    assert any("is gone" in problem for problem in desk.show(Q3).problems)
    assert desk.show(Q3).standing.status == "DRAFT"


def test_nothing_is_signed_while_something_was_tampered_with(
    desk: ReviewDesk, store: LocalStore, built: Review
) -> None:
    edited(JSON, '"source_minor": 1000', '"source_minor": 1001')(store)
    with pytest.raises(SigningRefusedError, match="was changed after it was built"):
        desk.sign(Q3, asked(built), NOW)


def test_a_rebuild_repairs_a_review_that_was_changed(
    desk: ReviewDesk, tables: Tables, store: LocalStore, signed: Review
) -> None:
    edited(JSON, '"source_minor": 1000', '"source_minor": 1001')(store)
    again = desk.build(tables.warehouse, Q3, "run-2", NOW)
    assert (again.is_changed, again.standing.status, desk.show(Q3).problems) == (True, "SIGNED", ())


def test_a_json_of_something_else_is_replaced_by_a_build(
    desk: ReviewDesk, tables: Tables, store: LocalStore, built: Review
) -> None:
    store.put(JSON, b'{"content": 3}')
    assert desk.build(tables.warehouse, Q3, "run-2", NOW).is_changed
    assert desk.show(Q3).review.sha256 == built.sha256


def test_of_two_who_sign_at_once_one_is_told_to_look_again(
    desk: ReviewDesk, store: LocalStore, built: Review, declared: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analytics_platform.governance.review import signing

    review = read_review(store, "2026Q3")
    stale = standing(store, review, declared.signoff_roles)
    desk.sign(Q3, asked(built), NOW)
    monkeypatch.setattr(signing, "standing", lambda *_: stale)
    monkeypatch.setattr(signing, "read_signatures", lambda *_: signing.Signatures((), ()))
    with pytest.raises(SigningRefusedError, match="at the same time"):
        sign(store, review, declared.signoff_roles, asked(built, role="operations", signer="Daan de Wit"), NOW)


def test_a_review_before_that_was_changed_is_not_compared_with(
    desk: ReviewDesk, tables: Tables, store: LocalStore, built: Review
) -> None:
    edited(JSON, '"source_minor": 1000', '"source_minor": 1001')(store)
    assert desk.previous(Q3.next).missing == "the review of 2026Q3 was changed after it was built"
    store.put(JSON, b"{}")
    assert "is no review of this version" in str(desk.previous(Q3.next).missing)
