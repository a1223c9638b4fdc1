"""What tests may trust when they begin with a copy of a home that others begin with too."""

from pathlib import Path

import pytest
from prepared import copied


def test_a_home_is_made_once_and_whoever_changes_a_copy_changes_no_other(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("as made")

    for name in ("one", "other"):
        copy = copied(tmp_path_factory, "made_once", tmp_path / name, make)
        assert (copy / "file").read_text() == "as made"
        (copy / "file").write_text("changed")
    assert len(made) == 1


def test_a_home_whose_maker_broke_off_is_made_anew(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    def break_off(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        copied(tmp_path_factory, "broken_off", tmp_path / "one", break_off)
    copy = copied(tmp_path_factory, "broken_off", tmp_path / "one", lambda folder: (folder / "whole").touch())
    assert [path.name for path in copy.iterdir()] == ["whole"]
