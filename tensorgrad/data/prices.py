"""Daily prices of stocks and of an index."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from tensorgrad.data.files import Collection, DataFileError, Published
from tensorgrad.data.finding import find
from tensorgrad.data.provenance import Provenance

COLUMNS = ("open", "high", "low", "close", "adjusted_close", "volume")
LIMIT = 1 << 24  # bytes; a century of trading days has less

_TRADING = "https://raw.githubusercontent.com/Bill0412/ud501-ml-for-trading/master/data/"
_FILES = {
    "AMZN": Published("AMZN.csv", "03a40fb7314680e68c6a601da63749a45f88cb5288770aede8f197957efd998e", 444_858),
    "AAPL": Published(
        "AAPL.csv",
        "54160423cdf319dde80f5ad574536ec20c73e140d1f2122ae122d2208f984b28",
        212_424,
        (f"{_TRADING}AAPL.csv",),
    ),
    "GOOG": Published(
        "GOOG.csv",
        "4756bf39c0d34491a7ad538686d2285765e3e18d3f8ed6502a809185279f031a",
        150_467,
        (f"{_TRADING}GOOG.csv",),
    ),
    "SPY": Published(
        "SPY.csv",
        "ef9437fedce5135d537b92ce4046f37117a434a8800ba97a94ecbb5b37ef2a2a",
        234_852,
        (f"{_TRADING}SPY.csv",),
    ),
    "sp500-2000": Published(
        "sp500-2000.csv",
        "9409e9342d0657c747324e4cfabce8a8c7f663bc485b95a3378f36b0a160f8c8",
        415_968,
        (
            "https://raw.githubusercontent.com/vega/vega-datasets/main/data/sp500-2000.csv",
            "https://cdn.jsdelivr.net/npm/vega-datasets/data/sp500-2000.csv",
        ),
    ),
}


@dataclass(frozen=True)
class Prices:
    """A daily series: dates (t,) datetime64[D], ascending, and values (t, 6) float64 in the order of `COLUMNS`.

    Both are ndarrays in host memory: split them by time and fit a scaler to the first part before anything is trained.
    """

    dates: Any
    values: Any
    provenance: Provenance

    def column(self, name: str) -> Any:
        """One column by its name in `COLUMNS`.   -> (t,) float64"""
        if name not in COLUMNS:
            raise KeyError(f"Prices: there is no column {name!r}; columns: {', '.join(COLUMNS)}")
        return self.values[:, COLUMNS.index(name)]

    def __len__(self) -> int:
        return len(self.dates)


def stocks(name: str = "AMZN", root: str | os.PathLike[str] | None = None, download: bool = True) -> Prices:
    """Daily prices: open, high, low, close, adjusted close, volume.   (t,) days, (t, 6) float64

    name: "AMZN", 6,516 trading days from 1997 to 2023; "AAPL", "GOOG" and "SPY" to 2012; "sp500-2000", the S&P 500
    from 2000 to 2020. Prices in USD, volume in shares. root, download and errors: as for `mnist`; nothing is known
    that serves the AMZN file. Raises ValueError for another name.
    """
    if name not in _FILES:
        raise ValueError(f"stocks: there is no series {name!r}; series: {', '.join(_FILES)}")
    file = _FILES[name]
    collection = Collection(
        "stocks", (file,), licence="none stated; prices from Yahoo Finance", home="https://finance.yahoo.com"
    )
    found = find(collection, root, download)
    dates, values = _read(found.paths[file.name])
    return Prices(dates, values, found.provenance(name))


def _read(path: Path) -> tuple[Any, Any]:
    size = path.stat().st_size
    if not 0 < size <= LIMIT:
        raise DataFileError(path, f"has {size} bytes; expected 1 to {LIMIT}")
    dates, rows = [], []
    try:
        with path.open(newline="", encoding="ascii") as file:
            lines = csv.reader(file, strict=True)
            header = [each.lower().replace(" ", "") for each in next(lines)]
            if header != ["date", "open", "high", "low", "close", "adjclose", "volume"]:
                raise DataFileError(path, f"has the columns {header}; expected Date and {', '.join(COLUMNS)}")
            for line in lines:
                date, *cells = line
                row = [float(cell) for cell in cells]
                if len(row) != len(COLUMNS) or not all(isfinite(value) and value >= 0 for value in row):
                    raise ValueError(f"expected {len(COLUMNS)} numbers of at least 0, got {cells}")
                if not row[2] <= row[3] <= row[1]:
                    raise ValueError(f"the close {row[3]} is not between low {row[2]} and high {row[1]}")
                dates.append(np.datetime64(date, "D"))
                rows.append(row)
                if len(dates) > 1 and dates[-1] <= dates[-2]:
                    raise ValueError(f"{date} comes after {dates[-2]}")
    except DataFileError:
        raise
    except (ValueError, csv.Error, StopIteration) as error:
        raise DataFileError(path, f"line {len(rows) + 2}: {error}") from error
    if not rows:
        raise DataFileError(path, "has no rows after its header")
    return np.array(dates), np.array(rows)
