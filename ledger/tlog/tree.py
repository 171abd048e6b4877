"""The hash tree of RFC 6962, section 2.1 (June 2013), which RFC 9162, section 2.1 (December 2021) keeps.

A leaf's index counts from 0: it is the event's position less one. A hash is 32 bytes; many hashes are bytes joined,
which is several times as fast as a list of them.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from ledger.tlog.errors import ProofError

HASH_BYTES = 32
SIZE_MAX = 2**63 - 1
PROOF_HASHES_MAX = 63
"""More than a proof in a tree of SIZE_MAX leaves can need; C2SP tlog-witness sets the same bound."""
EMPTY_ROOT = sha256().digest()

Nodes = Callable[[int, int], bytes]
"""Where the hashes come from: ``nodes(level, index)`` is that of the full subtree over the leaves from ``index << level`` to
before ``(index + 1) << level``. Called only for subtrees that are full."""


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def parents(hashes: bytes) -> bytes:
    """Return the hashes one level up, joined. An odd last one has no parent yet and is left out."""
    return b"".join(
        [sha256(b"\x01" + hashes[start : start + 64]).digest() for start in range(0, len(hashes) - 63, 64)]
    )


def nodes_of(leaves: bytes) -> Nodes:
    """Return the nodes of a tree in memory; building it costs a hash for each leaf."""
    if len(leaves) % HASH_BYTES:
        raise ValueError("leaf hashes are 32 bytes each")
    levels = [leaves]
    while len(levels[-1]) > HASH_BYTES:
        levels.append(parents(levels[-1]))

    def node(level: int, index: int) -> bytes:
        start = index * HASH_BYTES
        assert 0 <= start < len(levels[level]), "no such full subtree"
        return levels[level][start : start + HASH_BYTES]

    return node


def root(size: int, nodes: Nodes) -> bytes:
    """Return the root of the tree of the first ``size`` leaves."""
    _check_size(size)
    return _range_root(0, size, nodes) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """Return the hashes that lead from a leaf to the root, from its sibling up: PATH of section 2.1.1.

    Raises:
        ProofError: The tree of that size has no such leaf.
    """
    _check_index(index, size)
    start, end, siblings = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            siblings.append((middle, end))
            end = middle
        else:
            siblings.append((start, middle))
            start = middle
    return [_range_root(*sibling, nodes) for sibling in reversed(siblings)]


def consistency_proof(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """Return the hashes that prove the tree of ``new`` leaves to begin with that of ``old``: PROOF of section 2.1.2.

    Nothing is needed, so there is none, where the trees are equal or the old one is empty.

    Raises:
        ProofError: The old tree is the larger.
    """
    _check_growth(old, new)
    if old in (0, new):
        return []
    start, end, parts = 0, new, []
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            parts.append((middle, end))
            end = middle
        else:
            parts.append((start, middle))
            start = middle
    if start:
        # The old tree is no subtree of the new one, so its last part must be told as well.
        parts.append((start, end))
    return [_range_root(*part, nodes) for part in reversed(parts)]


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ProofError unless the proof leads from the leaf to the root: RFC 9162, section 2.1.3.2."""
    _check_index(index, size)
    _check_hashes(leaf, root, *proof)
    node, last, hash_ = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError(f"the inclusion proof has more hashes than a tree of {size} leaves has levels")
        if node & 1 or node == last:
            hash_ = node_hash(sibling, hash_)
            while node & 1 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            hash_ = node_hash(hash_, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError(f"the inclusion proof ends below the root of a tree of {size} leaves")
    if hash_ != root:
        raise ProofError(f"the inclusion proof does not lead from leaf {index} to the root of {size} leaves")


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise ProofError unless the new tree begins with the old one: RFC 9162, section 2.1.4.2."""
    _check_growth(old, new)
    _check_hashes(old_root, new_root, *proof)
    if old in (0, new):
        _check_nothing_proved(old, old_root, new, new_root, proof)
        return
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        raise ProofError(f"the consistency proof from {old} to {new} leaves is empty")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_hash = new_hash = path[0]
    for part in path[1:]:
        if last == 0:
            raise ProofError(f"the consistency proof has more hashes than a tree of {new} leaves has levels")
        if node & 1 or node == last:
            old_hash, new_hash = node_hash(part, old_hash), node_hash(part, new_hash)
            while node & 1 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            new_hash = node_hash(new_hash, part)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError(f"the consistency proof ends below the root of a tree of {new} leaves")
    if (old_hash, new_hash) != (old_root, new_root):
        raise ProofError(f"the tree of {new} leaves is not proved to begin with that of {old}")


def _check_nothing_proved(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Of two trees of one size, or from an empty one, there is nothing to prove but that their roots can be theirs."""
    if old_root != (new_root if old else EMPTY_ROOT) or (new == 0 and new_root != EMPTY_ROOT):
        raise ProofError(f"a tree of {old} leaves has not such a root")
    if proof:
        raise ProofError(f"from {old} to {new} leaves nothing is to be proved, yet there are hashes")


def fold(peaks: Sequence[bytes]) -> bytes:
    """Return the root over full subtrees that get smaller from left to right; there is at least one."""
    hash_ = peaks[-1]
    for peak in reversed(peaks[:-1]):
        hash_ = node_hash(peak, hash_)
    return hash_


def _range_root(start: int, end: int, nodes: Nodes) -> bytes:
    """Return the root over the leaves of a range, which begins where a subtree large enough for it does."""
    peaks = []
    while start < end:
        level = (end - start).bit_length() - 1
        peaks.append(nodes(level, start >> level))
        start += 1 << level
    return fold(peaks)


def _split(size: int) -> int:
    """Return the largest power of two below a size of two or more: how many leaves are left of the root."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_size(size: int) -> None:
    if not 0 <= size <= SIZE_MAX:
        raise ProofError(f"no tree has {size} leaves")


def _check_index(index: int, size: int) -> None:
    _check_size(size)
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}, counted from 0")


def _check_growth(old: int, new: int) -> None:
    _check_size(old)
    _check_size(new)
    if old > new:
        raise ProofError(f"a tree of {new} leaves cannot begin with one of {old}")


def _check_hashes(*hashes: bytes) -> None:
    if any(len(hash_) != HASH_BYTES for hash_ in hashes):
        raise ProofError("a hash is 32 bytes")
