"""Merkle trees: the vectors of RFC 6962's own implementations, and a recomputation that shares nothing."""

import hashlib

import pytest

from registry.merkle import (
    EMPTY_ROOT,
    GrowingTree,
    consistency_ranges,
    inclusion_ranges,
    is_consistent,
    is_included,
    range_roots,
    root_of,
)

# Leaves and roots of google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
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
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
MANY = [number.to_bytes(4, "big") for number in range(200)]
WRONG = b"\xff" * 32


def recomputed(leaves: list[bytes]) -> bytes:
    """Section 2.1 of the RFC word for word: no streaming, no peaks."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + recomputed(leaves[:half]) + recomputed(leaves[half:])).digest()


def path_of(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]) of section 2.1.1."""
    if len(leaves) == 1:
        return []
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    if index < half:
        return [*path_of(index, leaves[:half]), recomputed(leaves[half:])]
    return [*path_of(index - half, leaves[half:]), recomputed(leaves[:half])]


def subproof(first: int, leaves: list[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF(m, D[n], b) of section 2.1.2."""
    if first == len(leaves):
        return [] if whole else [recomputed(leaves)]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    if first <= half:
        return [*subproof(first, leaves[:half], whole=whole), recomputed(leaves[half:])]
    return [*subproof(first - half, leaves[half:], whole=False), recomputed(leaves[:half])]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_published_vectors(size: int):
    assert root_of(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_published_proofs_are_made_and_hold():
    """The first paths of the same test file: leaf 0 of 8, and 1 of 8; 6 to 8."""
    inclusion = range_roots(inclusion_ranges(0, 8), LEAVES)
    assert [step.hex() for step in inclusion] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert is_included(LEAVES[0], 0, 8, inclusion, bytes.fromhex(ROOTS[7]))
    consistency = range_roots(consistency_ranges(6, 8), LEAVES)
    assert [step.hex() for step in consistency] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert is_consistent(6, 8, bytes.fromhex(ROOTS[5]), bytes.fromhex(ROOTS[7]), consistency)


def test_an_empty_tree_has_the_root_of_nothing():
    assert root_of([]) == EMPTY_ROOT == recomputed([])


@pytest.mark.parametrize("size", range(1, 201))
def test_a_streamed_root_is_the_recursive_one_at_every_size(size: int):
    assert root_of(MANY[:size]) == recomputed(MANY[:size])


@pytest.mark.parametrize("size", range(1, 201))
def test_every_leaf_of_every_tree_is_proved_and_no_other(size: int):
    leaves, root = MANY[:size], root_of(MANY[:size])
    for index in {0, 1, size // 3, size // 2, size - 2, size - 1} & set(range(size)):
        path = range_roots(inclusion_ranges(index, size), leaves)
        assert list(path) == path_of(index, leaves)
        assert is_included(leaves[index], index, size, path, root)
        assert not is_included(WRONG, index, size, path, root)
        assert not is_included(leaves[index], (index + 1) % size, size, path, root) or size == 1
        assert not is_included(leaves[index], index, size, (*path, WRONG), root)
        assert not is_included(leaves[index], index, size, path[:-1], root) or not path
        assert not is_included(leaves[index], index, size, path, WRONG)


@pytest.mark.parametrize("second", range(1, 201))
def test_every_smaller_tree_is_proved_to_begin_the_larger(second: int):
    leaves, root = MANY[:second], root_of(MANY[:second])
    for first in range(1, second + 1, max(1, second // 24)):
        small = root_of(MANY[:first])
        path = range_roots(consistency_ranges(first, second), leaves)
        assert list(path) == subproof(first, leaves)
        assert is_consistent(first, second, small, root, path)
        assert not is_consistent(first, second, WRONG, root, path)
        assert not is_consistent(first, second, small, WRONG, path)
        for step in range(len(path)):
            assert not is_consistent(first, second, small, root, (*path[:step], WRONG, *path[step + 1 :]))
        assert not is_consistent(first, second, small, root, (*path, WRONG))


@pytest.mark.parametrize("size", [0, 1, 5, 8, 100, 199])
def test_a_tree_goes_on_from_its_peaks(size: int):
    kept = GrowingTree()
    for leaf in MANY[:size]:
        kept.add(leaf)
    resumed = GrowingTree(kept.size, kept.peaks)
    for leaf in MANY[size:]:
        resumed.add(leaf)
    assert (resumed.size, resumed.root()) == (200, recomputed(MANY))


def test_peaks_that_do_not_fit_their_size_are_refused():
    with pytest.raises(ValueError, match="2 whole subtrees"):
        GrowingTree(3, (WRONG,))


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int):
    with pytest.raises(ValueError, match="in no tree"):
        inclusion_ranges(index, size)
    assert not is_included(WRONG, index, size, (), WRONG)


@pytest.mark.parametrize(("first", "second"), [(0, 3), (4, 3), (-1, 1)])
def test_a_larger_tree_begins_no_smaller_one(first: int, second: int):
    with pytest.raises(ValueError, match="does not begin"):
        consistency_ranges(first, second)
    assert not is_consistent(first, second, WRONG, WRONG, ())


def test_missing_leaves_are_noticed():
    with pytest.raises(ValueError, match="fewer leaves"):
        range_roots(inclusion_ranges(0, 8), LEAVES[:4])
