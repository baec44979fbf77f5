"""Which patches each local branch sees, against the published order and against plain loops."""

import pytest

from reidlab.models.jigsaw import jigsaw_order, local_patches


@pytest.mark.parametrize(
    ("count", "shift", "groups"), [(128, 5, 2), (210, 5, 2), (242, 5, 2), (441, 8, 2), (324, 8, 2)]
)
def test_the_released_order_is_the_published_one(golden, count, shift, groups):
    data = golden.arrays("transreid/golden_shuffle_posembed")
    expected = (
        data[f"shuffle_n{count}_shift{shift}_group{groups}"] - 1
    )  # there, patches count from 1
    assert jigsaw_order(count, shift, groups) == expected.tolist()


def dealt(order, groups):
    """Cut into equal runs, one of each run in turn."""
    size = len(order) // groups
    return [order[g * size + i] for i in range(size) for g in range(groups)]


@pytest.mark.parametrize(
    ("count", "shift", "groups"), [(12, 3, 3), (12, 1, 2), (11, 4, 2), (7, 2, 4)]
)
def test_the_released_order_moves_one_patch_less_and_repeats_one_where_groups_are_uneven(
    count, shift, groups
):
    order = [*range(shift - 1, count), *range(shift - 1)]
    if count % groups:
        order = [*order, order[-2]]
    assert jigsaw_order(count, shift, groups) == dealt(order, groups)


@pytest.mark.parametrize("count", [12, 13, 14])
def test_the_even_order_moves_the_whole_shift_and_keeps_every_patch_once(count):
    order = jigsaw_order(count, 4, 3, "even")
    assert sorted(order) == list(range(count))
    second, third = {12: (8, 12), 13: (9, 13), 14: (9, 14)}[count]  # 4 4 4, 5 4 4 and 5 5 4 patches
    assert order[:4] == [4, second, third % count, 5]


@pytest.mark.parametrize(("count", "groups"), [(33, 4), (13, 5), (10, 6), (7, 7), (35, 2)])
def test_even_groups_are_as_many_as_asked_for_and_differ_by_one_at_most(count, groups):
    order = jigsaw_order(count, 1, groups, "even")
    shifted = [*range(1, count), 0]
    longer = count % groups  # groups with one patch more, the first ones
    starts = [0]
    for group in range(groups):
        starts.append(starts[-1] + count // groups + (group < longer))
    expected = [
        shifted[starts[group] + i]
        for i in range(count // groups + 1)
        for group in range(groups)
        if starts[group] + i < starts[group + 1]
    ]
    assert order == expected


def test_released_branches_see_equally_many_patches_and_the_rest_nobody():
    for count in (32, 33, 34, 35, 210):
        parts = local_patches(count, 4)
        order = jigsaw_order(count)
        assert [len(part) for part in parts] == [count // 4] * 4
        assert [patch for part in parts for patch in part] == order[: count // 4 * 4]


def test_which_patches_the_published_split_leaves_out():
    seen = {patch for part in local_patches(210, 4) for patch in part}
    assert {1 + patch for patch in set(range(210)) - seen} == {4, 109}  # counted from 1
    parts = local_patches(441, 4, shift=8)
    assert {1 + p for p in set(range(441)) - {p for part in parts for p in part}} == {228}


@pytest.mark.parametrize("count", [32, 33, 210])
def test_even_branches_see_every_patch_once_and_differ_by_one_at_most(count):
    parts = local_patches(count, 4, jigsaw="even")
    assert sorted(patch for part in parts for patch in part) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) == (1 if count % 4 else 0)
    assert [patch for part in parts for patch in part] == jigsaw_order(count, jigsaw="even")


def test_without_rearranging_a_branch_sees_neighbours():
    assert local_patches(12, 3, rearrange=False) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert local_patches(13, 3, rearrange=False)[-1] == [8, 9, 10, 11]
    even = local_patches(13, 3, rearrange=False, jigsaw="even")
    assert even == [[0, 1, 2, 3], [4, 5, 6, 7, 8], [9, 10, 11, 12]]


def test_shift_and_groups_reach_the_branches():
    plain = local_patches(32, 4)
    assert plain != local_patches(32, 4, shift=9) and plain != local_patches(32, 4, groups=4)
    order = jigsaw_order(32, 9, 4)
    assert local_patches(32, 4, shift=9, groups=4)[1] == order[8:16]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jigsaw_order(12, jigsaw="odd"), "jigsaw must be one of released, even, got 'odd'"),
        (lambda: jigsaw_order(12, 0), "shift must be 1 to 11 of 12 patches, got 0"),
        (lambda: jigsaw_order(12, 12), "shift must be 1 to 11"),
        (
            lambda: jigsaw_order(289, groups=4),
            "4 groups cannot share 289 patches.*groups from 1, 2",
        ),
        (lambda: jigsaw_order(12, groups=0), "0 groups cannot share"),
        (lambda: jigsaw_order(12, groups=13, jigsaw="even"), "13 groups cannot share"),
        (lambda: local_patches(3, 4), "expected 1 to 3 parts, one patch each at least, got 4"),
        (lambda: local_patches(3, 0), "expected 1 to 3 parts"),
        (lambda: local_patches(9, 3, rearrange=False, jigsaw="x"), "jigsaw must be one of"),
    ],
)
def test_what_cannot_be_dealt_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_groups_that_only_the_even_jigsaw_can_make_are_allowed_there():
    assert len(jigsaw_order(289, groups=4, jigsaw="even")) == 289
    assert len(jigsaw_order(11, 2, 1)) == 11 and len(jigsaw_order(12, 2, 12)) == 12
