"""What was asked for last is kept, and no more than that."""

from projections.recent import Recent


def test_what_was_asked_for_longest_ago_is_made_again():
    """And what is known is not made anew."""
    made: list[int] = []

    def make(key: int) -> int:
        made.append(key)
        return key * key

    recent: Recent[int, int] = Recent(2)
    squares = [recent.get(key, lambda key=key: make(key)) for key in (2, 3, 2, 4, 2, 3)]

    assert [4, 9, 4, 16, 4, 9] == squares
    assert [2, 3, 4, 3] == made
