"""Daily prices."""

import numpy as np
import pytest

from tensorgrad.data import DataFileError, stocks
from tests.data.test_handwriting import real

HEADER = b"Date,Open,High,Low,Close,Adj Close,Volume\n"
ROWS = b"2000-01-03,1,3,0.5,2,1.9,100\n2000-01-04,2,2.5,1,1.5,1.4,200\n"


def write(root, content, name="AMZN"):
    (root / "stocks").mkdir(exist_ok=True)
    (root / "stocks" / f"{name}.csv").write_bytes(content)
    return root


def test_a_table_is_read(tmp_path):
    prices = stocks(root=write(tmp_path, HEADER + ROWS))
    assert len(prices) == 2
    assert prices.column("close").tolist() == [2.0, 1.5]
    assert prices.values.shape == (2, 6)
    assert prices.dates.tolist() == np.array(["2000-01-03", "2000-01-04"], "datetime64[D]").tolist()
    with pytest.raises(KeyError, match="no column 'Close'; columns: open"):
        prices.column("Close")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has 0 bytes"),
        (HEADER, "no rows"),
        (b"a,b\n1,2\n", r"has the columns \['a', 'b'\]"),
        (HEADER + ROWS[:-9], "line 3: expected 6 numbers"),
        (HEADER + ROWS.replace(b"200\n", b"nan\n"), "line 3: expected 6 numbers of at least 0"),
        (HEADER + ROWS.replace(b"200\n", b"inf\n"), "line 3: expected 6 numbers of at least 0"),
        (HEADER + ROWS.replace(b"1.4", b"-1.4"), "line 3: expected 6 numbers of at least 0"),
        (HEADER + ROWS.replace(b"1.4", b"=cmd()"), "line 3: could not convert"),
        (HEADER + ROWS.replace(b"3,0.5", b"1,0.5"), "line 2: the close 2.0 is not between low 0.5 and high 1.0"),
        (HEADER + ROWS + ROWS, "line 4: 2000-01-03 comes after 2000-01-04|line 5"),
        (HEADER + ROWS.replace(b"2000-01-04", b"yesterday!"), "line 3"),
        (HEADER + ROWS + b'2000-01-05,"1', "line 4"),
        (HEADER + b"\xff\xfe", "line 2"),
    ],
)
def test_a_table_that_is_none_is_refused_by_line(tmp_path, content, reason):
    with pytest.raises(DataFileError, match=reason):
        stocks(root=write(tmp_path, content))


def test_another_series_is_refused():
    with pytest.raises(ValueError, match="no series 'TSLA'; series: AMZN"):
        stocks("TSLA")


@real("stocks")
@pytest.mark.parametrize(
    ("name", "days"), [("AMZN", 6516), ("AAPL", 3175), ("GOOG", 2032), ("SPY", 3174), ("sp500-2000", 5105)]
)
def test_the_real_series_are_as_they_are_known(name, days):
    prices = stocks(name)
    assert len(prices) == days
    assert prices.provenance.canonical is True
