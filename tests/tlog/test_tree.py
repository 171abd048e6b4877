"""The tree against RFC 6962: reference roots, the definition written out, and every proof of every small tree."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.tlog.errors import ProofError
from ledger.tlog.tree import (
    EMPTY_ROOT,
    SIZE_MAX,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    nodes_of,
    root,
)

# The entries and roots that implementations of Certificate Transparency have been compared by since 2012.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZE = 130
"""Past a power of two, and every pair of sizes is still quick to try."""
LEAVES = [leaf_hash(str(index).encode()) for index in range(SIZE)]
NODES = nodes_of(b"".join(LEAVES))
TREE_ROOTS = [root(size, NODES) for size in range(SIZE + 1)]


def mth(entries):
    """MTH, letter for letter as section 2.1 defines it."""
    if not entries:
        return sha256().digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def path(m, entries):
    """PATH, letter for letter as section 2.1.1 defines it."""
    if len(entries) == 1:
        return []
    k = 1
    while k * 2 < len(entries):
        k *= 2
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def subproof(m, entries, is_whole):
    """SUBPROOF, letter for letter as section 2.1.2 defines it."""
    if m == len(entries):
        return [] if is_whole else [mth(entries)]
    k = 1
    while k * 2 < len(entries):
        k *= 2
    if m <= k:
        return [*subproof(m, entries[:k], is_whole), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], False), mth(entries[:k])]


@pytest.mark.parametrize("size", range(9))
def test_reference_roots(size):
    nodes = nodes_of(b"".join(map(leaf_hash, ENTRIES)))

    assert ROOTS[size] == root(size, nodes).hex()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 31, 32, 33, 70])
def test_proofs_are_those_of_the_definition(size):
    """The recursive definitions, on entries, give what ours gives on hashes."""
    entries = [str(index).encode() for index in range(size)]

    assert mth(entries) == root(size, NODES)
    for m in range(size):
        assert path(m, entries) == inclusion_proof(m, size, NODES)
        assert subproof(m + 1, entries, True) == consistency_proof(m + 1, size, NODES)


def test_every_proof_of_every_size_verifies():
    for new in range(SIZE + 1):
        for old in range(new + 1):
            check_consistency(old, TREE_ROOTS[old], new, TREE_ROOTS[new], consistency_proof(old, new, NODES))
        for index in range(new):
            check_inclusion(LEAVES[index], index, new, inclusion_proof(index, new, NODES), TREE_ROOTS[new])


@st.composite
def changes(draw, proof):
    """A proof with a byte changed, a hash lost, repeated, added or shortened, or two swapped; never the same."""
    changed = list(proof)
    kinds = ["add"] + ["flip", "lose", "repeat", "shorten"] * bool(proof) + ["swap"] * (len(proof) > 1)
    at = draw(st.integers(0, max(0, len(proof) - 1)))
    match draw(st.sampled_from(kinds)):
        case "flip":
            flipped = bytearray(changed[at])
            flipped[draw(st.integers(0, 31))] ^= 1 << draw(st.integers(0, 7))
            changed[at] = bytes(flipped)
        case "lose":
            del changed[at]
        case "repeat":
            changed.insert(at, changed[at])
        case "shorten":
            changed[at] = changed[at][:31]
        case "swap":
            other = draw(st.integers(0, len(proof) - 1).filter(lambda other: other != at))
            changed[at], changed[other] = changed[other], changed[at]
        case "add":
            changed.insert(draw(st.integers(0, len(proof))), draw(st.binary(min_size=32, max_size=32)))
    return changed


@settings(max_examples=150)
@given(st.data())
def test_a_changed_inclusion_proof_is_refused(data):
    """Whatever is changed of it; and the true one at another index, size, leaf or root."""
    size = data.draw(st.integers(1, SIZE))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, NODES)
    changed = data.draw(changes(proof))
    other_index = data.draw(st.integers(0, size).filter(lambda other: other != index))
    for arguments in (
        (LEAVES[index], index, size, changed, TREE_ROOTS[size]),
        (LEAVES[index], other_index, size, proof, TREE_ROOTS[size]),
        (LEAVES[index - 1], index, size, proof, TREE_ROOTS[size - 1]),
        (LEAVES[index], index, size, proof, EMPTY_ROOT),
    ):
        with pytest.raises(ProofError):
            check_inclusion(*arguments)


@settings(max_examples=150)
@given(st.data())
def test_a_changed_consistency_proof_is_refused(data):
    new = data.draw(st.integers(1, SIZE))
    old = data.draw(st.integers(0, new))
    proof = consistency_proof(old, new, NODES)
    changed = data.draw(changes(proof))
    other = data.draw(st.integers(0, SIZE).filter(lambda other: other != old))
    for arguments in (
        (old, TREE_ROOTS[old], new, TREE_ROOTS[new], changed),
        (old, TREE_ROOTS[other], new, TREE_ROOTS[new], proof),
        (old, TREE_ROOTS[old], new, sha256(TREE_ROOTS[new]).digest(), proof) if old else None,
        (old, TREE_ROOTS[old][:31], new, TREE_ROOTS[new], proof),
    ):
        if arguments:
            with pytest.raises(ProofError):
                check_consistency(*arguments)


@pytest.mark.parametrize("size", range(1, 40))
def test_a_proof_is_good_for_no_other_size(size):
    """A proof of one size is refused under the root of another, for all sizes but where the path says nothing of it."""
    for index in range(size):
        proof = inclusion_proof(index, size, NODES)
        for other in range(SIZE + 1):
            if other != size:
                with pytest.raises(ProofError):
                    check_inclusion(LEAVES[index], index, other, proof, TREE_ROOTS[other])


@pytest.mark.parametrize(
    ("old", "new"), [(-1, 1), (2, 1), (0, -1), (1, SIZE_MAX + 1), (SIZE_MAX + 1, SIZE_MAX + 1)]
)
def test_sizes_that_no_trees_have_are_refused(old, new):
    with pytest.raises(ProofError):
        check_consistency(old, EMPTY_ROOT, new, EMPTY_ROOT, [])
    with pytest.raises(ProofError):
        consistency_proof(old, new, NODES)
    with pytest.raises(ProofError):
        check_inclusion(EMPTY_ROOT, old, new, [], EMPTY_ROOT)


def test_nothing_is_proved_of_an_empty_tree_but_that_it_is_empty():
    check_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    check_consistency(0, EMPTY_ROOT, 5, TREE_ROOTS[5], [])
    for arguments in (
        (0, TREE_ROOTS[1], 5, TREE_ROOTS[5], []),
        (0, TREE_ROOTS[1], 0, TREE_ROOTS[1], []),
        (0, EMPTY_ROOT, 0, TREE_ROOTS[1], []),
        (0, EMPTY_ROOT, 5, TREE_ROOTS[5], [EMPTY_ROOT]),
        (3, TREE_ROOTS[3], 3, TREE_ROOTS[4], []),
        (3, TREE_ROOTS[3], 3, TREE_ROOTS[3], [EMPTY_ROOT]),
        (3, TREE_ROOTS[3], 5, TREE_ROOTS[5], []),
    ):
        with pytest.raises(ProofError):
            check_consistency(*arguments)


def test_a_size_that_the_proof_does_not_reach_is_refused():
    """Though the roots are those that the hashes lead to: a log cannot call its tree larger than it is."""
    for size in (3, 4, 5, SIZE, SIZE_MAX):
        with pytest.raises(ProofError):
            check_consistency(1, TREE_ROOTS[1], size, TREE_ROOTS[2], consistency_proof(1, 2, NODES))
        with pytest.raises(ProofError):
            check_inclusion(LEAVES[0], 0, size, inclusion_proof(0, 2, NODES), TREE_ROOTS[2])


def test_hashes_past_the_root_are_refused():
    """Whoever makes up the roots could else hang a whole log into a tree that they call one leaf."""
    with pytest.raises(ProofError):
        check_inclusion(LEAVES[0], 0, 1, [LEAVES[1]], node_hash(LEAVES[1], LEAVES[0]))
    roots = (node_hash(LEAVES[9], TREE_ROOTS[size]) for size in (3, 4))
    with pytest.raises(ProofError):
        check_consistency(3, next(roots), 4, next(roots), [*consistency_proof(3, 4, NODES), LEAVES[9]])


def test_a_byte_cannot_be_moved_from_one_hash_to_the_next():
    """Joined they are the same bytes, so they have the same hash above them."""
    both = LEAVES[0] + LEAVES[1]
    with pytest.raises(ProofError):
        check_inclusion(both[:31], 0, 2, [both[31:]], TREE_ROOTS[2])


def test_leaves_of_a_tree_are_32_bytes():
    with pytest.raises(ValueError, match="32 bytes"):
        nodes_of(bytes(33))
