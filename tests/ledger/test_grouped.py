"""A personal number in groups is seen in a text, and what else has digits is let through."""

import pytest

from ledger.checks import check_purpose_text
from ledger.errors import PersonalNumberError
from ledger.grouped import holds_number
from ledger.reads.purposes import DEFAULT_PURPOSES, Purpose
from tests.ledger.test_reads import AUDITOR

NUMBERS = [
    "038 090 001 234",
    "038.090.001.234",
    "038-090-001-234",
    "038,090,001,234",
    "038_090_001_234",
    "038·090·001·234",
    "038–090–001–234",
    "038 - 090 - 001 - 234",
    "038  090  001  234",
    "0380 9000 1234",
    "0380.9000.1234",
    "038090 001234",
    "038-090001234",
    "038090001 234",
    "03809 0001 234",
    "038 090001 234",
    "038 0 90 001234",
    "038.0.90.001.234",
    "०३८ ०९० ००१ २३४",
    "0３8 ０90 001 234",
    "CCCD 038 090 001 234, ngày 09/12/2024",
    "14758 038 090 001 234",
    "038 090 001 234 12",
    "gọi 0912 345 678 về 038.090.001.234",
    "2024 0380 9000 1234",
    "(038 090 001 234)",
    "số:038 090 001 234.",
]
OTHERS = [
    "",
    "Đơn số 12/2024",
    "09/12/2024 21:15",
    "09.12.2024 21.15",
    "2024-12-09 08:30:15",
    "2024-12-09 08-30-15",
    "2024-12-09T08:30:15+07:00",
    "20241209 0830",
    "20241209-083015",
    "09 12 2024 10 12 2024",
    "01-11-2024 30-11-2024",
    "2023 2024 2025",
    "2023-2024-2025",
    "2024-2025 0912 345 678",
    "0912345678",
    "0912 345 678",
    "0912.345.678",
    "091 234 5678",
    "09 12 34 56 78",
    "0912 345 678 0987 654 321",
    "0912345678 0987654321",
    "091.234.5678 098.765.4321",
    "0912 345 678 - 0987 654 321",
    "+84 912 345 678",
    "+84 24 3825 1234",
    "(+84) 237 3852 345",
    "0084 237 3852 345",
    "0237 3852 345",
    "024 3825 1234",
    "1900 6192",
    "09/12/2024 0912 345 678",
    "09.12.2024 0912.345.678",
    "12/2024, 038090 and 001235",
    "380, 381, 382, 383",
    "1234/5678/9012",
    "QĐ 1238/NQ-UBTVQH15, NĐ 69/2024",
    "58A-123.45 36B-678.90",
    "038 090 001 2345",
    "038 090 001 23",
    "01a20d68-877b-774a-99bb-1c7ffbaa85cb",
]


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_in_groups_is_seen(text):
    """Whoever's it is, however it is parted, in whatever else is said; and it is refused as the text of a purpose."""
    assert holds_number(text)
    with pytest.raises(PersonalNumberError) as caught:
        DEFAULT_PURPOSES.check(Purpose("audit", text), AUDITOR)
    assert "001" not in str(caught.value)


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_none_is_let_through(text):
    """Days, times, telephone numbers, numbers of files, plates, lists of codes."""
    assert not holds_number(text)
    if text:
        check_purpose_text(text)
