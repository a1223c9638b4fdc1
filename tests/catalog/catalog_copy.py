"""A copy of the shipped catalogue that a test may break."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from analytics_platform import catalog as catalog_package
from analytics_platform.catalog import Catalog, load_catalog

SHIPPED = Path(catalog_package.__file__).parent


@dataclass(frozen=True)
class CatalogCopy:
    root: Path

    @classmethod
    def below(cls, folder: Path) -> "CatalogCopy":
        root = folder / "catalog"
        shutil.copytree(SHIPPED, root, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        return cls(root)

    def replace(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} no longer holds {old!r}; mend the test"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def load(self) -> Catalog:
        return load_catalog(root=self.root)
