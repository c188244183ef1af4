"""Which lakehouse a command means: found like a ``.git``, or named; none is made unasked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand

from lakehouse_assets.cli.console import app, fail, say, tell, use_root, without_types
from lakehouse_assets.tables.registry import DATASETS

if TYPE_CHECKING:
    from resources.settings import Settings

_MAKING: Final = frozenset({"land", "run", "ui"})
"""Commands with which a lakehouse may begin."""


class Command(TyperCommand):
    """A command that works on a lakehouse, which ``--root`` may name."""

    needs_lakehouse = True

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own options, and that one, with a word for each value and none for a flag."""
        return without_types([*super().get_params(ctx), *_SHARED])

    def invoke(self, ctx: Any) -> Any:
        """Run it where it is known which lakehouse is meant."""
        if self.needs_lakehouse:
            find_lakehouse(may_make=self.name in _MAKING)
        return super().invoke(ctx)


class Anywhere(Command):
    """A command that can do without a lakehouse."""

    needs_lakehouse = False


def _take_root(root: str | None) -> str | None:
    if root is not None:
        use_root(root)
    return root


def _shared(
    root: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="The lakehouse; else LAKEHOUSE_ROOT, or .lakehouse in this folder or one above.",
            expose_value=False,
            callback=_take_root,
        ),
    ] = None,
) -> None:
    """What every command takes."""


def _options() -> list[Any]:
    shared = typer.Typer(add_completion=False)
    shared.command()(_shared)
    return typer.main.get_command(shared).params


_SHARED: Final = _options()


def find_lakehouse(*, may_make: bool = False) -> Settings:
    """The settings, once it is known which lakehouse they mean; ends with a clear line if none.

    A command that ``may_make`` one makes it where it is named, and else asks who is at a terminal.
    """
    from resources.settings import FOLDER, Settings  # noqa: PLC0415 - imports pydantic's settings

    settings = Settings.load()
    if root := settings.named_folder:
        _assert_is_one(root, root / FOLDER, may_make=may_make)
    if not settings.is_placed:
        here = Path.cwd()
        question = f"No lakehouse is in {here} or above it. Make one, in {settings.root}?"
        if not (may_make and sys.stdin.isatty() and typer.confirm(question, err=True)):
            fail(
                f"no lakehouse is in {here} or above it; make one here with lakehouse init, or "
                "name one with --root FOLDER"
            )
        _make(Path(settings.root))
    return settings


def _assert_is_one(root: Path, inner: Path, *, may_make: bool) -> None:
    """End with a clear line where a folder that was named is no lakehouse, as far as can be told.

    ``inner`` is where one is whose folder is ``root``.
    """
    if inner.is_dir() and not (root / "raw").is_dir():
        fail(f"{root} is no lakehouse, but {inner} is one; name that")
    if not root.is_dir():
        if not may_make:
            fail(f"no lakehouse is in {root}; name another, or make it with lakehouse init")
        say(f"{root}: a new lakehouse")


@app.command("init", cls=Anywhere)
def init_command(
    folder: Annotated[
        Path | None, typer.Argument(help="Where its .lakehouse is made; this folder unless given.")
    ] = None,
) -> None:
    """Make a lakehouse: a folder .lakehouse, which commands in and below this one will mean."""
    from resources.settings import FOLDER, Settings  # noqa: PLC0415 - imports pydantic's settings

    settings = Settings.load()
    if folder is None and "root" in settings.model_fields_set:
        if settings.root.startswith("s3://"):
            fail(f"{settings.root}: a bucket needs no init; lakehouse land puts files there")
        root = Path(settings.root).absolute()
    else:
        root = (folder or Path.cwd()).absolute() / FOLDER
    if root.is_dir():
        tell(f"{root}: is there already")
        return
    _make(root)
    tell(f"{root}: made; lakehouse land puts files into it")


def _make(root: Path) -> None:
    try:
        for dataset in DATASETS:
            (root / "raw" / dataset).mkdir(parents=True)
    except OSError as error:
        fail(f"{root}: {error.strerror}; name a folder that can be written")
