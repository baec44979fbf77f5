import os

import pytest

from reidlab.data.benchmarks.files import (
    child,
    folder_names,
    image_names,
    missing_files,
    nested_images,
    read_pairs,
    read_text,
)


def test_nested_images_come_in_order_without_hidden_ones(plant, tmp_path):
    plant(tmp_path, ["b/2.jpg", "b/10.png", "a/x/1.JPG", "z.jpg", ".h/1.jpg", "b/._2.jpg"])
    (tmp_path / "b" / "notes.txt").write_text("")
    found = [os.path.relpath(path, tmp_path) for path in nested_images(tmp_path)]
    assert found == ["z.jpg", "a/x/1.JPG", "b/10.png", "b/2.jpg"]


def test_links_are_followed_and_never_in_a_circle(plant, tmp_path):
    plant(tmp_path / "store", ["1.jpg"])
    plant(tmp_path / "set", ["a/2.jpg"])
    (tmp_path / "set" / "b").symlink_to(tmp_path / "store")
    (tmp_path / "set" / "a" / "up").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "self").symlink_to(tmp_path / "set" / "self")
    (tmp_path / "set" / "c.jpg").symlink_to(tmp_path / "store" / "1.jpg")
    found = [os.path.basename(path) for path in nested_images(tmp_path / "set")]
    assert found == ["c.jpg", "2.jpg", "1.jpg"]
    assert folder_names(tmp_path / "set") == ["a", "b"]


def test_what_is_no_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for call in (image_names, folder_names):
        with pytest.raises(ValueError, match="file cannot be read .*a folder that you may read"):
            call(tmp_path / "file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_folder_that_may_not_be_read_is_named(tmp_path):
    tmp_path.chmod(0)
    try:
        with pytest.raises(ValueError, match="Permission denied"):
            image_names(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_name_is_found_in_other_capitals(tmp_path):
    (tmp_path / "Mask_Train_V2").mkdir()
    assert child(tmp_path, "mask_train_v2") == tmp_path / "Mask_Train_V2"
    assert child(tmp_path, "mask_test_v2") is None
    assert child(tmp_path / "nowhere", "x") is None


def test_lists_are_read_with_their_line_numbers(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffa/b.jpg 0\r\n\r\nwith space.jpg\t12\n".encode())
    assert read_pairs(path) == [(1, "a/b.jpg", 0), (3, "with space.jpg", 12)]


@pytest.mark.parametrize("line", ["a.jpg", "a.jpg x", "a.jpg -1", "7", "a.jpg ³", "a 9" + "9" * 30])
def test_a_bad_line_is_named(tmp_path, line):
    (tmp_path / "list.txt").write_text(f"b.jpg 1\n{line}\n")
    with pytest.raises(ValueError, match=r"list.txt, line 2: expected an image and the number"):
        read_pairs(tmp_path / "list.txt")


def test_lists_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ValueError, match="list.txt is missing; unpack"):
        read_pairs(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_text("\n\n")
    with pytest.raises(ValueError, match="list.txt is empty"):
        read_pairs(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_bytes(b"ab\xff 1\n")
    with pytest.raises(ValueError, match=r"list.txt is not UTF-8 \(byte 2\)"):
        read_pairs(tmp_path / "list.txt")
    with pytest.raises(ValueError, match="cannot be read"):
        read_text(tmp_path)


def test_missing_files_are_counted_and_broken_links_left_to_those_who_check_images(plant, tmp_path):
    plant(tmp_path, ["1.jpg"])
    (tmp_path / "2.jpg").symlink_to(tmp_path / "gone.jpg")
    rows = [(i, str(tmp_path / f"{i}.jpg")) for i in (1, 2, 3, 4)]
    assert missing_files(tmp_path / "list", rows[:2]) == []
    (sentence,) = missing_files(tmp_path / "list", rows)
    assert "2 of 4 images listed there do not exist, first" in sentence
    assert "3.jpg (line 3)" in sentence
