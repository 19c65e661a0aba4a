"""The forty-eight ways in which a utility's server or the house is difficult: each has a test of its number."""

import re
from pathlib import Path

CASES = 48
HERE = Path(__file__).parent


def test_every_case_has_a_test_of_its_number() -> None:
    found = {
        int(number)
        for file in HERE.glob("test_cases_*.py")
        for number in re.findall(r"^(?:async )?def test_case_(\d\d)_", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == set(range(1, CASES + 1))
