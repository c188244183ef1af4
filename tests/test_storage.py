"""A folder as a storage: what is listed, and what links lead to."""

from __future__ import annotations

from pathlib import Path

from lakehouse_assets.store.storage import LocalStorage


def listed(root: Path, prefix: str = "") -> dict[str, bool]:
    return {found.path: found.readable for found in LocalStorage(str(root)).list(prefix)}


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "raw"
    for folder in (elsewhere, root / "orders"):
        folder.mkdir(parents=True)
    (elsewhere / "o.csv").write_text("order_id\n1\n")
    (root / "orders" / "2025-05-01").symlink_to(elsewhere)
    (root / "orders" / "one.csv").symlink_to(elsewhere / "o.csv")
    assert listed(root) == {"orders/2025-05-01/o.csv": True, "orders/one.csv": True}


def test_links_that_lead_nowhere_or_around_end(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "f.csv").write_text("x\n")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    (tmp_path / "a" / "gone").symlink_to(tmp_path / "nowhere")
    assert listed(tmp_path) == {"a/b/f.csv": True, "a/self": False}
