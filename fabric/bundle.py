"""A plan on disk: written whole or not at all, and read back.

The folder is made beside its place and renamed into it. The same plan gives the same bytes.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import TypeAdapter, ValidationError

from fabric.catalogue import Catalogue
from fabric.design import Design
from fabric.errors import InputError, OutputError, PlanError, Problem
from fabric.intent import parse_intent
from fabric.plan import Plan
from fabric.tables import Fabric

VERSION = 1
"""Of the layout of the folder; a plan of another version is not read."""
ROW_GROUP = 1 << 18
TABLES = tuple(item.name for item in fields(Fabric))
NEEDED = ("intent.yaml", "design.json", "catalogue.yaml", *(f"fabric/{name}.parquet" for name in TABLES))
"""Files without which a folder is no plan."""

Writer = Callable[[Path], None]


def write_plan(plan: Plan, folder: Path, files: Mapping[str, Writer] | None = None, *, replace: bool = False) -> None:
    """Write the plan, and what ``files`` write (by path within the folder), to ``folder``.

    Folders above it are made. Raises OutputError, and leaves everything as it was, where ``folder`` exists (but with
    ``replace`` a plan that is there goes) or cannot be written; the same for what else ends the writing, Ctrl-C too.
    """
    with whole_folder(folder, replace=replace) as work:
        for name, writer in (_own(plan) | dict(files or {})).items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            writer(path)


@contextmanager
def whole_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty folder that becomes ``folder`` when the block ends well, and is gone when it does not.

    Raises OutputError where ``folder`` is there already (but for a plan, with ``replace``) or cannot be written.
    """
    target = Path(os.path.realpath(folder))
    refuse(folder, replace=replace)
    with _said_of(folder), _parents(target), _beside(target) as work:
        yield work
        os.sync()  # all is on the disk before its name says that it is whole; one call, a plan has thousands of files
        _move(work, target)


def refuse(folder: Path, *, replace: bool) -> None:
    """Raise OutputError unless ``folder`` is not there yet, or is a plan that may go."""
    target = Path(os.path.realpath(folder))
    for parent in target.parents:
        if parent.exists() and not parent.is_dir():
            raise OutputError(Problem(str(folder), f"{parent} is a file, not a folder", "name another folder"))
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise OutputError(Problem(str(folder), "is a file, not a folder", "name a folder that does not exist yet"))
    if not all((target / name).is_file() for name in NEEDED):
        raise OutputError(Problem(str(folder), "exists and is no plan", "name a folder that does not exist yet"))
    if not replace:
        raise OutputError(Problem(str(folder), "is a plan already", "replace it with --force, or name another folder"))


@contextmanager
def _said_of(folder: Path) -> Iterator[None]:
    """What the system refuses, as one line."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        number = _system_error(error)
        if number is None:
            raise
        reason = os.strerror(number).lower()
        raise OutputError(Problem(str(folder), f"cannot be written: {reason}", "nothing was written")) from error


def _system_error(error: Exception) -> int | None:
    """The number of the system's error; polars gives it in the text of an error of its own."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    match = re.search(r"\(os error (\d+)\)", str(error))
    return int(match[1]) if match else None


@contextmanager
def _parents(target: Path) -> Iterator[None]:
    """The folders above the target; those made here go again when the writing fails."""
    missing = [parent for parent in target.parents if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        raise


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """An empty folder beside the target, on the same file system; gone afterwards if it is still there."""
    work = target.parent / f".{target.name}.{secrets.token_hex(4)}.partial"
    try:
        work.mkdir()
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _move(work: Path, target: Path) -> None:
    """Rename into place; a plan that is there is put aside first, and back if the renaming fails."""
    old = work.with_suffix(".old")
    there = target.exists()
    try:
        if there:
            target.rename(old)
        work.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    os.sync()
    if there:
        shutil.rmtree(old, ignore_errors=True)


def _own(plan: Plan) -> dict[str, Writer]:
    """The files that ``read_plan`` reads."""
    return {
        "intent.yaml": lambda path: _write_text(plan.intent.to_yaml(), path),
        "design.json": lambda path: _write_text(design_json(plan.design), path),
        "catalogue.yaml": lambda path: _write_text(used(plan).to_yaml(), path),
        **{f"fabric/{name}.parquet": partial(_write_parquet, frame) for name, frame in plan.fabric.tables()},
    }


def _write_text(text: str, path: Path) -> None:
    path.write_bytes(text.encode())


def _write_parquet(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path, compression="zstd", compression_level=3, row_group_size=ROW_GROUP, statistics=True)


def used(plan: Plan) -> Catalogue:
    """The part of the catalogue that the plan needs to be read without the files it was made from."""
    switches = set(plan.fabric.switches["model"].unique().cast(pl.String))
    return plan.catalogue.subset({group.model for group in plan.intent.hosts}, switches)


def design_json(design: Design) -> str:
    """``design.json``: the version of the plan, and the design with its keys in the order of the fields."""
    return json.dumps({"version": VERSION, **asdict(design)}, indent=1, ensure_ascii=False) + "\n"


def read_plan(folder: Path) -> Plan:
    """The plan in ``folder``; raises PlanError with what is missing, broken, or of another version."""
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise PlanError(Problem(str(folder), what, "name the folder that `railwright plan` wrote"))
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise PlanError(Problem(str(folder), f"is no whole plan, without {', '.join(missing)}", "plan again"))
    design = _read_design(folder / "design.json")
    try:
        intent = parse_intent(_text(folder / "intent.yaml"), where=folder / "intent.yaml")
        catalogue = Catalogue.from_yaml(_text(folder / "catalogue.yaml"), str(folder / "catalogue.yaml"))
    except InputError as error:
        raise PlanError(error.problems) from error
    fabric = Fabric(**{name: _read_parquet(folder / "fabric" / f"{name}.parquet") for name in TABLES})
    fabric.validate()
    return Plan(intent, catalogue, design, fabric)


def _read_design(path: Path) -> Design:
    try:
        data: Any = json.loads(_text(path))
    except ValueError as error:
        raise PlanError(Problem(str(path), f"is no JSON: {error}", "plan again")) from error
    version = data.pop("version", None) if isinstance(data, dict) else None
    if version != VERSION:
        what = f"is of version {version}; this program reads version {VERSION}"
        raise PlanError(Problem(str(path), what, "plan again from its intent.yaml"))
    try:
        return TypeAdapter(Design).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PlanError(Problem(f"{path}: {where}", first["msg"].lower(), "plan again")) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(Problem(str(path), f"cannot be read: {error}", "plan again")) from error


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise PlanError(Problem(str(path), f"is no table: {reason}", "plan again")) from error
