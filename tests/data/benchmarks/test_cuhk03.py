import sys

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from reidlab.data.benchmarks.facts import CUHK03
from reidlab.data.benchmarks.matfile import SIGNATURE
from reidlab.data.readers import read_dataset, scan_dataset
from reidlab.data.samples import people

SMALL = {"train": (4, 2), "query": (2, 1), "gallery": (2, 1)}
NAMES = [f"{pair}_00{person}_{1 + cell // 5}_{cell + 1:02d}.png"
         for pair, person in ((1, 1), (1, 2), (2, 1)) for cell in (0, 1, 5)]  # fmt: skip
NAMES.remove("1_001_1_02.png")  # an empty cell
LABELS = [1, 1, 2, 2, 2, 3, 3, 3]


def pixels(name):
    """16 high, 8 wide, and different in every image and direction."""
    rng = np.random.default_rng(NAMES.index(name))
    return rng.integers(0, 256, (16, 8, 3), dtype=np.uint8)


def cells(pair, persons):
    """Rows of ten cells, those without an image empty."""
    empty = np.zeros((0, 0), dtype=np.uint8)
    table = np.empty((persons, 10), dtype=object)
    for person in range(persons):
        for cell in range(10):
            name = f"{pair}_00{person + 1}_{1 + cell // 5}_{cell + 1:02d}.png"
            table[person, cell] = pixels(name) if name in NAMES else empty
    return table


def write_config(folder, variant="detected", **changes):
    names = np.empty((len(NAMES), 1), dtype=object)
    names[:, 0] = NAMES
    content = {
        "filelist": names,
        "labels": np.array(LABELS, dtype=np.uint16)[:, None],
        "camId": np.array([int(name[6]) for name in NAMES], dtype=np.uint8)[:, None],
        "train_idx": np.array([[1, 2, 3, 5]], dtype=np.uint16).T,
        "query_idx": np.array([[6, 8]], dtype=np.uint16).T,
        "gallery_idx": np.array([[7, 8]], dtype=np.uint16).T,
    }
    content |= changes
    path = folder / f"cuhk03_new_protocol_config_{variant}.mat"
    savemat(path, {key: value for key, value in content.items() if value is not None})
    return path


def write_matlab5(path):
    tables = np.empty((2, 1), dtype=object)
    tables[0, 0], tables[1, 0] = cells(1, 2), cells(2, 1)
    savemat(path, {"detected": tables, "labeled": tables[:1], "testsets": np.zeros((1, 1))})


def write_hdf5(path):
    """As MATLAB 7.3 does: 512 bytes of its own, then HDF5 with the dimensions reversed."""
    h5py = pytest.importorskip("h5py", reason="needs h5py to write and read MATLAB 7.3 files")
    with h5py.File(path, "w", userblock_size=512) as file:
        count = 0

        def put(array):
            nonlocal count
            count += 1
            empty = array.size == 0
            data = np.zeros(2, dtype=np.uint64) if empty else array.transpose(2, 1, 0)
            return file.create_dataset(f"#refs#/{count}", data=data).ref

        tables = []
        for table in (cells(1, 2), cells(2, 1)):
            rows = [[put(table[p, c]) for p in range(len(table))] for c in range(10)]
            data = np.array(rows, dtype=h5py.ref_dtype)
            tables.append(file.create_dataset(f"#refs#/t{len(tables)}", data=data).ref)
        file.create_dataset("detected", data=np.array([tables], dtype=h5py.ref_dtype))
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")


@pytest.fixture(params=["matlab5", "hdf5"])
def original(request, tmp_path, monkeypatch):
    monkeypatch.setitem(CUHK03.counts, "detected", SMALL)
    folder = tmp_path / "cuhk03"
    (folder / "cuhk03_release").mkdir(parents=True)
    writer = {"matlab5": write_matlab5, "hdf5": write_hdf5}[request.param]
    writer(folder / "cuhk03_release" / "cuhk-03.mat")
    write_config(folder)
    return folder


@pytest.fixture
def matlab5(tmp_path, monkeypatch):
    monkeypatch.setitem(CUHK03.counts, "detected", SMALL)
    folder = tmp_path / "CUHK03"
    folder.mkdir()
    write_matlab5(folder / "cuhk-03.mat")
    write_config(folder)
    return folder


def test_images_are_taken_out_of_the_original_file_as_they_are(original, caplog):
    splits = read_dataset("cuhk03", original.parent)
    assert splits.name == "CUHK03 (detected)"
    images = original / "images_detected"
    assert sorted(path.name for path in images.iterdir()) == NAMES
    for path in images.iterdir():
        np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels(path.name))
    assert not caplog.text
    assert not list(original.glob(".images*"))


def test_the_configuration_says_who_is_who(matlab5):
    splits = read_dataset(matlab5)
    found = [(s.path.name, s.pid, s.camid) for s in splits.train]
    assert found == [
        ("1_001_1_01.png", 1, 1),
        ("1_001_2_06.png", 1, 2),
        ("1_002_1_01.png", 2, 1),
        ("1_002_2_06.png", 2, 2),
    ]
    assert [(s.path.name, s.camid) for s in splits.query] == [
        ("2_001_1_01.png", 1),
        ("2_001_2_06.png", 2),
    ]
    assert people(splits.gallery) == {3} and splits.cameras == [1, 2]


def test_cameras_follow_from_the_names_without_their_field(matlab5):
    known = read_dataset(matlab5).fingerprint
    write_config(matlab5, camId=None)
    assert read_dataset(matlab5).fingerprint == known


def test_images_are_taken_out_once(matlab5, monkeypatch):
    first = read_dataset(matlab5)
    times = {path: path.stat().st_mtime_ns for path in (matlab5 / "images_detected").iterdir()}
    (matlab5 / "cuhk-03.mat").unlink()
    assert read_dataset(matlab5).fingerprint == first.fingerprint
    assert times == {p: p.stat().st_mtime_ns for p in (matlab5 / "images_detected").iterdir()}


def test_a_progress_bar_counts_people(matlab5, capsys):
    read_dataset(matlab5, progress=True)
    assert "cuhk-03.mat: detected" in capsys.readouterr().err


def test_an_image_that_got_lost_is_a_problem_with_a_remedy(matlab5):
    read_dataset(matlab5)
    (matlab5 / "images_detected" / "1_002_1_01.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 8 images .*1_002_1_01.png .*or remove .*images_d"):
        read_dataset(matlab5)


def test_a_damaged_original_leaves_nothing_behind(matlab5):
    data = (matlab5 / "cuhk-03.mat").read_bytes()
    (matlab5 / "cuhk-03.mat").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="the images of 'detected' cannot be taken out"):
        read_dataset(matlab5)
    assert sorted(path.name for path in matlab5.iterdir()) == [
        "cuhk-03.mat",
        "cuhk03_new_protocol_config_detected.mat",
    ]


def test_a_variant_that_the_file_lacks_is_named(matlab5):
    savemat(matlab5 / "cuhk-03.mat", {"labeled": np.zeros((1, 1))})
    with pytest.raises(ValueError, match="images of 'detected' cannot be taken out"):
        read_dataset(matlab5)
    savemat(matlab5 / "cuhk-03.mat", {"detected": np.empty((0, 0), dtype=object)})
    with pytest.raises(ValueError, match="holds no images of 'detected'"):
        read_dataset(matlab5)


def test_h5py_is_asked_for_when_it_is_needed(matlab5, monkeypatch):
    (matlab5 / "cuhk-03.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + SIGNATURE + b"x" * 9)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ValueError, match="MATLAB 7.3 file .*not installed: pip install h5py"):
        read_dataset(matlab5)
    scan = scan_dataset(matlab5)
    assert scan.parts == {} and len(scan.problems) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query_idx": None}, "has no field 'query_idx'"),
        ({"labels": np.array([[1], [2]])}, "is inconsistent"),
        ({"gallery_idx": np.array([[9]])}, "points at image 9 of 8"),
        ({"labels": np.zeros((8, 1))}, "people below 1"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_named(matlab5, changes, message):
    write_config(matlab5, **changes)
    with pytest.raises(ValueError, match=f"config_detected.mat {message}|{message}"):
        read_dataset(matlab5)


def test_a_configuration_that_is_missing_or_damaged_is_named(matlab5):
    path = matlab5 / "cuhk03_new_protocol_config_detected.mat"
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match="config_detected.mat cannot be read"):
        read_dataset(matlab5)
    path.unlink()
    with pytest.raises(ValueError, match="config_detected.mat is missing: it says who is who"):
        read_dataset(matlab5)


def test_an_empty_folder_of_images_alone_is_named(tmp_path):
    (tmp_path / "images_detected").mkdir()
    write_config(tmp_path)
    with pytest.raises(ValueError, match="images_detected is empty and there is no cuhk-03.mat"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("variant", ["labeled", "detected"])
def test_prepared_folders_are_read_as_they_are(plant_market, tmp_path, monkeypatch, variant):
    counts = {"train": (6, 3), "query": (2, 2), "gallery": (4, 2)}
    monkeypatch.setitem(CUHK03.counts, variant, counts)
    top = tmp_path / "cuhk03-np"
    plant_market(top / variant, lambda p, c, s: f"{p:04d}_c{c}_{s}.png")
    scan = scan_dataset("cuhk03", tmp_path, variant=variant)
    assert scan.name == f"CUHK03 ({variant})" and not scan.problems and not scan.notes
    assert read_dataset(top, variant=variant).cameras == [1, 2]
    assert scan_dataset(top / variant).benchmark is CUHK03
    other = "detected" if variant == "labeled" else "labeled"
    with pytest.raises(ValueError, match=f"no CUHK03 of variant '{other}': expected {other} with"):
        read_dataset("cuhk03", tmp_path, variant=other)


def test_an_unknown_variant_is_refused(tmp_path):
    (tmp_path / "cuhk03").mkdir()
    with pytest.raises(ValueError, match="no variant 'x'; it understands: labeled, detected"):
        read_dataset("cuhk03", tmp_path, variant="x")


def test_other_counts_are_noted(matlab5, monkeypatch):
    monkeypatch.setitem(CUHK03.counts, "detected", {"train": (5, 2)})
    assert scan_dataset(matlab5).notes == [
        "CUHK03: train has 4 images of 2, expected 5 of 2 as published"
    ]
