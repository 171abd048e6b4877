from tests.conftest import check_ledger
import pytest
@pytest.mark.parametrize("n", range(10))
def test_x(ledger, n):
    check_ledger(ledger, length=586)
