"""The Python of a Glue job: what Glue brings, and the job's wheels, installed without an index."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import threading
import uuid
import venv
import zipfile
from collections.abc import Callable, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

# What Glue's own Python has, of what a job here uses.
GLUE_HAS: Final = (
    *("pyspark", "py4j", "numpy", "pandas", "pyarrow", "pytz", "tzdata", "python-dateutil", "six"),
    *("boto3", "botocore", "s3transfer", "jmespath", "urllib3"),
)


class GluePythons:
    """Pythons in a folder, each made once for its set of wheels."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._building = threading.Lock()

    def of(self, arguments: Mapping[str, str], fetch: Callable[[str], bytes]) -> Path:
        """The Python of a job with these arguments; ``fetch`` gives what an ``s3://`` place has."""
        modules = arguments.get("--additional-python-modules", "")
        options = shlex.split(arguments.get("--python-modules-installer-option", ""))
        home = self._folder / f"python-{uuid.uuid5(uuid.NAMESPACE_URL, modules + str(options))}"
        with self._building:
            if not home.exists():
                wheels = [fetch(module) for module in modules.split(",") if module]
                _build(home, wheels, options)
        return home / "bin" / "python"


def _build(home: Path, wheels: list[bytes], options: list[str]) -> None:
    venv.create(home, symlinks=True)
    has = home / "glue"
    has.mkdir()
    for name in GLUE_HAS:
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (has / top).exists():
                (has / top).symlink_to(str(found.locate_file(top)))
    (site,) = home.glob("lib/python*/site-packages")
    (site / "glue.pth").write_text(f"{has}\n")
    for number, zipped in enumerate(wheels):
        unpacked = home / f"modules-{number}"
        zipfile.ZipFile(io.BytesIO(zipped)).extractall(unpacked)
        folder = unpacked / "wheels"
        pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install"]
        listed = ["--find-links", str(folder), "--requirement", str(folder / "requirements.txt")]
        subprocess.run([*pip, "--quiet", *options, *listed], check=True, env=_no_index())


def _no_index() -> dict[str, str]:
    """This environment, but nothing in it leads pip anywhere."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
