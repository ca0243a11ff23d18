"""Merkle trees over a log, as RFC 6962 (sections 2.1, 2.1.1, 2.1.2) hashes them; standard library only.

Leaves come as a stream and are never kept: a tree under way is a handful of whole subtrees, and a
proof is the roots of a few ranges of leaves. Both need memory for the height of the tree only.
Hashes are 32 raw bytes.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice

Range = tuple[int, int]  # leaves from the first (counted from 0) to before the second
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf; its prefix keeps a leaf from passing for a node."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two halves."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class GrowingTree:
    """A tree that leaves are added to: the roots of its whole subtrees, the largest first.

    ``size`` and ``peaks`` are all of it: kept, they let another process go on.
    """

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if size < 0 or len(peaks) != size.bit_count():
            raise ValueError(f"A tree of {size} leaves has {max(size, 0).bit_count()} whole subtrees.")
        self.size = size
        self._peaks = list(peaks)

    @property
    def peaks(self) -> tuple[bytes, ...]:
        return tuple(self._peaks)

    def add(self, leaf: bytes) -> None:
        """Add one leaf at the end."""
        found, size = leaf_hash(leaf), self.size
        while size & 1:
            found = node_hash(self._peaks.pop(), found)
            size >>= 1
        self._peaks.append(found)
        self.size += 1

    def root(self) -> bytes:
        """The root of what was added so far."""
        return _folded(self._peaks) if self._peaks else EMPTY_ROOT


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root of a whole stream."""
    tree = GrowingTree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


# Proofs: first which ranges of leaves, then their roots


def inclusion_ranges(index: int, size: int) -> tuple[Range, ...]:
    """The ranges whose roots prove that a leaf is in a tree of ``size``; ValueError where it cannot be."""
    if not 0 <= index < size:
        raise ValueError(f"Leaf {index} is in no tree of {size} leaves.")
    found: list[Range] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _largest_power_below(high - low)
        if index < middle:
            found.append((middle, high))
            high = middle
        else:
            found.append((low, middle))
            low = middle
    return tuple(reversed(found))


def consistency_ranges(first: int, second: int) -> tuple[Range, ...]:
    """The ranges whose roots prove that the tree of ``first`` leaves begins the tree of ``second``."""
    if not 0 < first <= second:
        raise ValueError(f"A tree of {first} leaves does not begin one of {second}.")
    found: list[Range] = []
    low, high, is_whole = 0, second, True  # is_whole: the verifier knows the subtree, it is the first tree
    while high != first:
        middle = low + _largest_power_below(high - low)
        if first <= middle:
            found.append((middle, high))
            high = middle
        else:
            found.append((low, middle))
            low, is_whole = middle, False
    if not is_whole:
        found.append((low, high))
    return tuple(reversed(found))


def range_roots(ranges: Sequence[Range], leaves: Iterable[bytes]) -> tuple[bytes, ...]:
    """The roots of such ranges as the proofs above are made of, from one pass over the leaves.

    Any number of proofs can share the pass; memory grows with the ranges alone.
    """
    wanted = {part for whole in ranges for part in _whole_subtrees(whole)}
    found: dict[Range, bytes] = {}
    under_way: list[tuple[int, bytes]] = []  # first leaf and root of whole subtrees, the largest first
    end = max((high for _, high in ranges), default=0)
    for index, leaf in enumerate(islice(leaves, end)):
        low, root = index, leaf_hash(leaf)
        if (low, index + 1) in wanted:
            found[low, index + 1] = root
        count = index
        while count & 1:
            low, left = under_way.pop()
            root, count = node_hash(left, root), count >> 1
            if (low, index + 1) in wanted:
                found[low, index + 1] = root
        under_way.append((low, root))
    if len(found) != len(wanted):
        raise ValueError("There are fewer leaves than the ranges speak of.")
    return tuple(_folded([found[part] for part in _whole_subtrees(whole)]) for whole in ranges)


def _whole_subtrees(whole: Range) -> list[Range]:
    """The whole subtrees that a range is made of, the largest first."""
    (low, high), parts = whole, []
    while low < high:
        size = 1 << ((high - low).bit_length() - 1)
        parts.append((low, low + size))
        low += size
    return parts


def _folded(roots: Sequence[bytes]) -> bytes:
    found = roots[-1]
    for root in reversed(roots[:-1]):
        found = node_hash(root, found)
    return found


# Checking, with nothing but the proof


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether a path proves that ``leaf`` is number ``index`` of the tree with this root."""
    if not 0 <= index < size:
        return False
    found, place, last = leaf_hash(leaf), index, size - 1
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while place & 1 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(
    first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether a path proves that the smaller tree is the beginning of the larger one."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    steps = list(path) if first & (first - 1) else [first_root, *path]
    if not steps:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while place & 1 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _largest_power_below(size: int) -> int:
    """The largest power of two that is less than ``size``, which is at least two."""
    return 1 << ((size - 1).bit_length() - 1)
