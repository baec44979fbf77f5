from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from reidlab.data.market import FOLDERS, choose_queries
from reidlab.data.synthetic.plan import Plan, SyntheticOptions, make_plan

SMALL = {"ids": 5, "validation_ids": 3, "test_ids": 4, "distractors": 10, "junk": 6}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(SyntheticOptions(**SMALL))


def by_split(plan: Plan):
    parts = defaultdict(list)
    for image in plan.images:
        parts[image.split].append(image)
    return parts


def seen(plan: Plan):
    """What is known of each image, without the person's number."""
    return {image.file: (image.pid, image.camid, image.shot) for image in plan.images}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"ids": 1}, "ids of at least 2, got 1"),
        ({"test_ids": 0}, "test_ids of at least 2"),
        ({"validation_ids": -1}, "validation_ids of at least 0"),
        ({"images_per_id": 1}, "images_per_id of at least 2"),
        ({"cameras": 1}, "cameras of at least 2"),
        ({"distractors": -1}, "distractors of at least 0"),
        ({"junk": -5}, "junk of at least 0"),
        ({"seed": -1}, "seed of at least 0"),
        ({"ids": 2.5}, "ids to be an integer, got 2.5"),
        ({"seed": True}, "seed to be an integer"),
        ({"size": (128, 128)}, "twice as high as wide"),
        ({"size": (16, 8)}, "16 to 512 pixels wide"),
        ({"size": 128}, "size .height, width."),
        ({"size": (1, 2, 3)}, "size .height, width."),
        ({"difficulty": "easy"}, "'easy'.*'smoke', 'default', 'hard'"),
        ({"world": "z"}, "'z'.*'a', 'b', 'c'"),
    ],
)
def test_bad_options_are_refused_with_the_valid_choices(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        SyntheticOptions(**options)


def test_options_survive_json():
    options = SyntheticOptions(size=(256, 128), seed=3)
    assert SyntheticOptions(**options.as_dict()) == options
    assert options.as_dict()["size"] == [256, 128]


def test_people_are_numbered_from_one_and_stand_on_one_side(plan):
    assert list(plan.people) == list(range(1, 13))
    assert list(plan.sides.values()) == ["train"] * 5 + ["validation"] * 3 + ["test"] * 4
    for split, images in by_split(plan).items():
        sides = {plan.sides[image.pid] for image in images if image.pid > 0}
        assert sides == {split.split("_")[0] if "_" in split or split == "train" else "test"}


def test_every_image_of_every_person_is_planned_once(plan):
    assert len({image.file for image in plan.images}) == len(plan.images)
    counts = Counter(image.pid for image in plan.images)
    assert {counts[pid] for pid in plan.people} == {16}
    assert counts[-1] == 6
    parts = by_split(plan)
    assert sum(image.pid == 0 for image in parts["gallery"]) == 10
    assert sum(image.pid == 0 for image in parts["validation_gallery"]) == 5
    assert counts[0] == 15


def test_people_are_seen_by_four_to_six_cameras(plan):
    cameras = defaultdict(set)
    for image in plan.images:
        cameras[image.pid].add(image.camid)
        assert plan.cameras[image.camid - 1].index == image.shot.camera
    assert {len(cameras[pid]) for pid in plan.people} <= {4, 5, 6}


def test_file_names_are_those_of_market(plan):
    pattern = re.compile(r"(\d{4}|-1)_c([1-6])s1_\d{6}_\d\d\.jpg")
    for image in plan.images:
        folder, name = image.file.split("/")
        match = pattern.fullmatch(name)
        assert match and (int(match[1]), int(match[2])) == (image.pid, image.camid)
        assert folder == FOLDERS[image.split]
    assert [i.file for i in plan.images if i.split == "train"] == sorted(
        i.file for i in plan.images if i.split == "train"
    )


@pytest.mark.parametrize("images_per_id", [2, 3, 4, 5, 9])
@pytest.mark.parametrize("cameras", [2, 3, 6])
def test_every_query_finds_its_person_under_another_camera(images_per_id, cameras):
    options = SyntheticOptions(**SMALL, images_per_id=images_per_id, cameras=cameras)
    plan = make_plan(options)
    parts = by_split(plan)
    for query, gallery in (("query", "gallery"), ("validation_query", "validation_gallery")):
        side = "test" if query == "query" else "validation"
        everyone = {pid for pid in plan.people if plan.sides[pid] == side}
        assert {image.pid for image in parts[query]} == everyone
        for asked in parts[query]:
            assert any(i.pid == asked.pid and i.camid != asked.camid for i in parts[gallery])


@pytest.mark.parametrize("images_per_id", [4, 6, 16])
def test_each_camera_of_a_test_person_asks_once(images_per_id):
    parts = by_split(make_plan(SyntheticOptions(**SMALL, images_per_id=images_per_id)))
    asked = Counter((image.pid, image.camid) for image in parts["query"])
    seen_by = {(i.pid, i.camid) for i in parts["query"] + parts["gallery"] if i.pid > 0}
    assert set(asked) == seen_by
    assert set(asked.values()) == {1}


@pytest.mark.parametrize(
    ("camids", "chosen"),
    [
        ([1, 1, 2, 2], {0, 2}),
        ([1, 2], {0}),
        ([1, 1, 2], {0}),
        ([1, 1, 1], set()),
        ([], set()),
        ([2, 1, 1, 2, 3], {0, 1, 4}),
    ],
)
def test_queries_are_chosen_only_while_all_find_a_match(camids, chosen):
    assert choose_queries(camids) == chosen


@pytest.mark.parametrize(
    "change",
    [{"images_per_id": 20}, {"ids": 7}, {"validation_ids": 4}, {"distractors": 14}, {"junk": 9}],
)
def test_more_of_one_thing_changes_nothing_else(plan, change):
    larger = make_plan(SyntheticOptions(**SMALL | change))
    old, new = people_by_side(plan), people_by_side(larger)
    assert all(new[side][: len(people)] == people for side, people in old.items())
    if "ids" not in change and "validation_ids" not in change:  # those renumber who comes after
        before = {(pid, cam, shot.noise, shot.yaw) for pid, cam, shot in seen(plan).values()}
        after = {(pid, cam, shot.noise, shot.yaw) for pid, cam, shot in seen(larger).values()}
        assert before < after


def people_by_side(plan: Plan):
    sides = defaultdict(list)
    for pid, person in plan.people.items():
        sides[plan.sides[pid]].append(person)
    return sides


def test_difficulty_changes_how_people_are_seen_but_not_who(plan):
    hard = make_plan(SyntheticOptions(**SMALL, difficulty="hard"))
    assert hard.people == plan.people
    assert seen(hard).keys() == seen(plan).keys()
    assert seen(hard) != seen(plan)


@pytest.mark.parametrize("change", [{"seed": 1}, {"world": "b"}])
def test_another_seed_or_world_has_other_people(plan, change):
    other = make_plan(SyntheticOptions(**SMALL, **change))
    assert not set(other.people.values()) & set(plan.people.values())


def test_bystanders_are_people_of_no_split():
    plan = make_plan(SyntheticOptions(**SMALL, images_per_id=40, difficulty="hard"))
    others = [image.shot.bystander for image in plan.images if image.shot.bystander]
    assert len(others) > 20
    assert len(set(others)) > 10
    assert not set(others) & set(plan.people.values())


def test_distractors_show_no_one_of_the_dataset(plan):
    strangers = {image.shot.person for image in plan.images if image.pid == 0} - {None}
    assert strangers
    assert not strangers & set(plan.people.values())


def test_junk_shows_test_people(plan):
    test_people = {plan.people[pid] for pid, side in plan.sides.items() if side == "test"}
    junk = {image.shot.person for image in plan.images if image.pid == -1}
    assert junk <= test_people


def test_labels_are_the_stored_ones_on_every_machine(plan):
    codes = {pid: "".join(map(str, plan.people[pid].attributes().values())) for pid in (1, 6, 9)}
    assert codes == {
        1: "221121111111111111111112111",
        6: "211221111112111111211111111",
        9: "221122221221111111111111211",
    }
    assert [image.file for image in by_split(plan)["query"]][:4] == [
        "query/0009_c1s1_010367_00.jpg",
        "query/0009_c2s1_052583_00.jpg",
        "query/0009_c3s1_045758_00.jpg",
        "query/0009_c4s1_082158_00.jpg",
    ]


def test_style_changes_how_cameras_see_and_nothing_else():
    usual, vivid = (make_plan(SyntheticOptions(**SMALL, style=style)) for style in (None, 1.0))
    assert [image.file for image in usual.images] == [image.file for image in vivid.images]
    assert {image.shot.strength for image in usual.images} == {0.6}
    alike = [replace(image, shot=replace(image.shot, strength=0.6)) for image in vivid.images]
    assert alike == usual.images
    assert {image.shot.strength for image in vivid.images} == {1.0}


def test_the_style_of_a_difficulty_asked_for_by_number_draws_the_same_shots():
    named = make_plan(SyntheticOptions(**SMALL, difficulty="hard"))
    number = make_plan(SyntheticOptions(**SMALL, difficulty="hard", style=1.0))
    assert named.images == number.images
    assert named.options.as_dict() != number.options.as_dict()  # a cache of its own


@pytest.mark.parametrize("style", [-0.1, 1.5, float("nan"), "much", True])
def test_a_style_that_is_no_share_is_refused(style):
    with pytest.raises(ValueError, match="style to be a share from 0 to 1"):
        SyntheticOptions(style=style)
