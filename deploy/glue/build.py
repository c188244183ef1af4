"""Build what a Glue job needs beyond Glue's own, as one file that installs without an index.

    python -m deploy.glue.build [--python 3.13] [--platform manylinux_2_28_x86_64]

Glue 5.0 and later take such a "zip of wheels": ``wheels/*.whl`` beside a ``requirements.txt``.
Every wheel but the product's own is the one that requirements.lock names, by its hash.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from packaging.markers import default_environment
from packaging.requirements import Requirement

PROJECT: Final = Path(__file__).parents[2]

# What a job imports that Glue 6.0 does not bring. numpy, pandas, pyarrow, pyspark and boto3 are
# Glue's own.
BEYOND_GLUE: Final = frozenset(
    {
        "annotated-types",
        "arro3-core",
        "dagster-pipes",
        "deltalake",
        "deprecated",
        "filelock",
        "pydantic",
        "pydantic-core",
        "pydantic-settings",
        "python-dotenv",
        "sqlglot",
        "structlog",
        "typing-extensions",
        "typing-inspection",
        "wrapt",
    }
)

_FILES: Final = ("pyproject.toml", "README.md", "LICENSE", "definitions.py")


def build(out: Path, python: str | None = None, platform: str | None = None) -> Path:
    """Write ``lakehouse.gluewheels.zip`` for a Python and platform; this interpreter's for None.

    Raises CalledProcessError where a wheel is not to be had.
    """
    wheels = out / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    wheels.mkdir(parents=True)
    locked = out / "locked.txt"
    locked.write_text("".join(_locked(python)))
    target = ["--python-version", python] if python else []
    target += [word for name in _platforms(platform) for word in ("--platform", name)]
    _pip("download", *target, "--only-binary", ":all:", "--no-deps", "--require-hashes", "--dest",
         str(wheels), "--requirement", str(locked))  # fmt: skip
    # From a copy: setuptools leaves what it built in the tree, and packs what it finds there.
    with tempfile.TemporaryDirectory() as copy:
        source = Path(copy, "source")
        shutil.copytree(PROJECT, source, ignore=_no_source)
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source))
    names = sorted(wheel.name for wheel in wheels.glob("*.whl"))
    pins = "".join("{}=={}\n".format(*name.split("-")[:2]) for name in names)
    (wheels / "requirements.txt").write_text(pins)
    target_zip = out / "lakehouse.gluewheels.zip"
    with zipfile.ZipFile(target_zip, "w") as archive:
        for file in sorted(wheels.iterdir()):
            archive.write(file, f"wheels/{file.name}")
    return target_zip


def _platforms(newest: str | None) -> list[str]:
    """A ``manylinux_2_<n>`` platform and the older ones that it can run, which pip does not add."""
    found = re.fullmatch(r"manylinux_2_(\d+)_(\w+)", newest or "")
    if found is None:
        return [newest] if newest else []
    minor, machine = int(found[1]), found[2]
    return [
        *(f"manylinux_2_{n}_{machine}" for n in range(minor, 4, -1)),
        f"manylinux2014_{machine}",
    ]


def _no_source(folder: str, names: list[str]) -> set[str]:
    """What of a folder's names has no part in the product's wheel."""
    if Path(folder) == PROJECT:
        return set(names) - {"lakehouse_assets", "resources", "data", *_FILES}
    return {"sample", "__pycache__"} & set(names)


def _locked(python: str | None) -> list[str]:
    """The lock's lines of what travels, as they count for a Python."""
    version = python or f"{sys.version_info.major}.{sys.version_info.minor}"
    environment: dict[str, str | AbstractSet[str]] = {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": version,
    }
    environment |= {"python_full_version": f"{version}.0", "sys_platform": "linux"}
    found = []
    for entry in re.split(r"\n(?=\S)", (PROJECT / "requirements.lock").read_text().strip()):
        first, _, hashes = entry.partition("\\\n")
        requirement = Requirement(first.strip())
        if requirement.name not in BEYOND_GLUE:
            continue
        # pip would ask this interpreter, not the one that it downloads for.
        if requirement.marker is None or requirement.marker.evaluate(environment):
            found.append(f"{requirement.name}{requirement.specifier} \\\n{hashes}\n")
    return found


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments, "--quiet"], check=True)  # noqa: S603


def main() -> None:
    """Build for the Python and platform that the arguments name: by default Glue 6.0's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", default="3.13", help="Python of the jobs, such as 3.13")
    parser.add_argument("--platform", default="manylinux_2_28_x86_64", help="as wheels name it")
    parser.add_argument("--out", type=Path, default=PROJECT / "build" / "glue")
    asked = parser.parse_args()
    sys.stdout.write(f"{build(asked.out, asked.python, asked.platform)}\n")


if __name__ == "__main__":
    main()
