"""The table that ships with the package; `randhie.md` beside it says where it is from. Nothing is read at import."""

from importlib.resources import files
from pathlib import Path

__all__ = ["randhie_path"]


def randhie_path() -> Path:
    """Where the RAND Health Insurance Experiment table lies: 20,190 person-years, target `mdvis` (visits to a doctor).

    Returns:
        The path of a gzip-compressed CSV file, which pandas reads as it is.

    Source: Newhouse, RAND Health Insurance Experiment, 1974-1982, doi:10.3886/ICPSR06439.

    >>> randhie_path().name
    'randhie.csv.gz'
    """
    return Path(str(files(__name__) / "randhie.csv.gz"))
