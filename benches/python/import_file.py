"""Persons a second of `medsettle import` into a data directory, beside what the parts of it allow on the same machine.

A synthetic file of N persons, whose identity numbers are of region 000000. Measured in turn, several times: the dry run
(read, compose, decode; nothing is sent), the import itself with a new hub each time, and the floor of its journal: as
many writes of as many bytes, each with its `fdatasync`.

    python benches/python/import_file.py [--persons 1000000] [--runs 3] [--parquet]
"""

import argparse
import asyncio
import os
import resource
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

from figures import figure, note
from machine import machine_line, scratch_directory

from medsettle import Hub, journal, jsonform
from medsettle.demo import world
from medsettle.hub import AsyncHub
from medsettle.importing import session, ways
from medsettle.v1 import common_pb2, packages_pb2

BARE = "bare writes and fdatasync of its frames"
IMPORTER = "IMPORTER0001"
REGION = "370102"
WEIGHTS = [pow(2, 17 - place, 11) for place in range(17)]
CHECKS = "10X98765432"
HEADER = "name,sex,birth_date,certificate_kind,certificate_number,insurance_type,region,category,from_date\n"
DAYS_OF_MONTH, SERIALS = 28, 1_000


def rows(count: int) -> Iterator[str]:
    """Make the lines of a file."""
    for number in range(count):
        day, serial = divmod(number, SERIALS)
        month, day = divmod(day, DAYS_OF_MONTH)
        year, month = divmod(month, 12)
        digits = f"000000{1900 + year}{1 + month:02}{1 + day:02}{serial:03}"
        check = CHECKS[sum(map(int.__mul__, map(int, digits), WEIGHTS)) % 11]
        yield (
            f"张{number % 1_000:03},{('FEMALE', 'MALE')[number % 2]},{digits[6:10]}-{digits[10:12]}-{digits[12:14]},"
            f"IDENTITY_CARD,{digits}{check},EMPLOYEE,{REGION},ACTIVE,2020-01-01\n"
        )


def made(path: Path, count: int, parquet: bool) -> Path:
    """Write the file, as CSV or as Parquet."""
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        file.writelines(rows(count))
    if not parquet:
        return path
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet as arrow_parquet
    from pyarrow import string

    types = {name: string() for name in HEADER.strip().split(",")}
    table = arrow_csv.read_csv(path, convert_options=arrow_csv.ConvertOptions(column_types=types))
    beside = path.with_suffix(".parquet")
    arrow_parquet.write_table(table, beside)
    return beside


def founded(data: Path) -> None:
    """Make a hub that is at home where the persons are insured."""
    header = common_pb2.RequestHeader(
        request_id="regions", created_ms=time.time_ns() // 1_000_000, institution_code=IMPORTER, operator="bench"
    )
    regions = [jsonform.parse(packages_pb2.Region, region) for region in world.package("regions")]
    with Hub.open(data) as hub:
        hub.acting(ways.ROLES, IMPORTER).packages.install_regions(
            packages_pb2.PackagesInstallRegionsRequest(header=header, regions=regions)
        )


class Imported:
    """One import into a new hub: how long it took from the hash of the file to the last answer, and what it cost."""

    def __init__(self, root: Path, file: Path, persons: int) -> None:
        data = root / "data"
        founded(data)
        begun = _cpu_s()
        asyncio.run(self._run(root, data, file))
        # With what the hub did behind the answers until it was closed.
        self.cpu_s = _cpu_s() - begun
        if self.totals.imported.rows != persons or self.records != persons:
            raise AssertionError(f"{self.totals} and {self.records} decisions of {persons} persons")
        self.record_bytes = _record_bytes(data)

    async def _run(self, root: Path, data: Path, file: Path) -> None:
        job = session.Job("persons", file, root / "rejects.csv", root / "checkpoint.json")
        async with await AsyncHub.open(data) as hub:
            before, begun = hub.metrics(), time.perf_counter()
            of = session.subject(job, IMPORTER, _nobody)
            self.totals = await session.run(job, of, ways.Embedded(hub, IMPORTER), _nobody)
            self.took_s = time.perf_counter() - begun
            after = hub.metrics()
        self.frames, self.records = (after[name] - before[name] for name in ("frames", "records"))


def _record_bytes(data: Path) -> int:
    bodies = (cast(list[bytes], frame.get("records", ())) for frame in journal.inspect(data))
    return sum(len(record) for body in bodies for record in body)


def _nobody(_done: int, _total: int) -> None:
    """Show progress to nobody."""


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(work: Callable[[], object]) -> float:
    """Take the seconds of some work."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def floor(root: Path, writes: int, size: int) -> float:
    """Write so many blocks of so many bytes into a zero-filled file, each with its sync; gives the seconds."""
    path, block = root / "floor", os.urandom(size)
    with path.open("wb", buffering=0) as file:
        file.write(bytes(size * writes))
        os.fsync(file.fileno())
        file.seek(0)

        def write() -> None:
            for _ in range(writes):
                file.write(block)
                os.fdatasync(file.fileno())

        took_s = timed(write)
    path.unlink()
    return took_s


def main() -> None:
    """Measure, and print a line for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--parquet", action="store_true", help="a Parquet file instead of CSV")
    options = parser.parse_args()
    persons: int = options.persons
    with scratch_directory() as root:
        machine = machine_line(root)
        print(machine)
        file = made(root / "persons.csv", persons, options.parquet)
        print(f"{persons:,} persons in {file.stat().st_size / 1e6:.0f} MB of {file.suffix[1:]}")
        checks, imports, floors = [], [], []
        for number in range(options.runs):
            checks.append(timed(lambda: session.check("persons", file, None, _nobody)))
            directory = root / f"run{number}"
            directory.mkdir()
            one = Imported(directory, file, persons)
            imports.append(one)
            floors.append(floor(root, one.frames, one.record_bytes // max(1, one.frames)))
            shutil.rmtree(directory)
        dry_s, took_s = statistics.median(checks), statistics.median(one.took_s for one in imports)
        floor_s, cpu_s = statistics.median(floors), statistics.median(one.cpu_s for one in imports)
        for what, spent in (("import", [one.took_s for one in imports]), ("dry run of an import", checks)):
            rates = [persons / seconds for seconds in spent]
            beside = [persons / seconds for seconds in floors]
            note(figure(f"{what}, {file.suffix[1:]}, {persons:,} persons", "/s", rates, machine, BARE, beside))
        last = imports[-1]
        print(f"dry run          {persons / dry_s:>12,.0f} persons/s")
        print(
            f"import           {persons / took_s:>12,.0f} persons/s   {cpu_s / persons * 1e6:.2f} us of processor "
            f"each, {took_s / dry_s:.1f} x the dry run"
        )
        print(
            f"floor: fdatasync {persons / floor_s:>12,.0f} persons/s   {last.frames} writes of "
            f"{last.record_bytes // max(1, last.frames):,} bytes, ratio {floor_s / took_s:.3f}"
        )


if __name__ == "__main__":
    main()
