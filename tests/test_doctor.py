import builtins
import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from reidlab.cli import doctor, health, machine, main
from reidlab.cli.health import Finding
from reidlab.paths import readable


def run(*words):
    """Status and standard output of the command."""
    out = io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out):
        try:
            main(["doctor", *words])
        except SystemExit as left:
            status = int(left.code or 0)
    return status, out.getvalue()


def fake_checks(monkeypatch, *findings):
    monkeypatch.setattr(doctor, "CHECKS", (("things", lambda: list(findings)),))


FINE = Finding("torch", "ok", "2.15.0")
LOW = Finding("memory", "note", "1.0 GB free", "close other programs")
BROKEN = Finding("numpy", "problem", "not installed", "pip install numpy")


# --- the report ---


@pytest.fixture(scope="module")
def report():
    """What the real command says about this machine, as a process."""
    done = subprocess.run(
        [sys.executable, "-m", "reidlab", "doctor", "--json"],
        capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    return done, json.loads(done.stdout)


def test_where_the_tests_run_the_course_can_run(report):
    done, content = report
    problems = [one for one in content["findings"] if one["status"] == "problem"]
    assert problems == [] and done.returncode == 0 and content["status"] in ("ok", "note")
    assert done.stderr == ""


def test_the_report_names_what_the_course_stands_on(report):
    found = {one["name"]: one for one in report[1]["findings"]}
    names = "python reidlab torch torchvision timm numpy jupyterlab kernel processor threads"
    names += " memory data runs temporary convolution JPEG fonts synthetic pyarrow chromium"
    assert set(names.split()) <= set(found)
    assert found["torch"]["value"] == torch.__version__.split("+")[0]
    assert "GFLOP/s on cpu" in found["convolution"]["value"]
    assert all(one["group"] and one["value"] for one in found.values())


def test_notes_do_not_fail_and_problems_do(monkeypatch):
    fake_checks(monkeypatch, FINE)
    assert run() == (0, "things\n  ok       torch  2.15.0\n\nThe course can run here.\n")
    fake_checks(monkeypatch, FINE, LOW)
    status, text = run()
    assert status == 0 and text.endswith("The course can run here; 1 note above.\n")
    fake_checks(monkeypatch, LOW, BROKEN, BROKEN)
    status, text = run()
    assert status == 1
    assert text.endswith("The course cannot run here yet: 2 problems; 1 note above.\n")
    assert json.loads(run("--json")[1])["status"] == "problem" and run("--json")[0] == 1


def test_lines_are_aligned_and_advice_stands_below():
    text = doctor.as_text([FINE, BROKEN, Finding("x", "ok", "word " * 30, "unsaid", "more")], 60)
    lines = text.splitlines()
    assert lines[0] == "  ok       torch  2.15.0"
    assert lines[1] == "  problem  numpy  not installed"
    assert lines[2] == "                  -> pip install numpy"
    assert lines[3:5] == ["", "more"] and "unsaid" not in text
    assert all(len(line) <= 60 for line in lines)
    assert lines[6].startswith(" " * 18 + "word")


def test_help_needs_no_checks(monkeypatch):
    monkeypatch.setattr(doctor, "CHECKS", None)
    status, text = run("--help")
    assert status == 0 and "--json" in text and "exit status" in text


def test_a_check_that_fails_is_a_problem_and_the_others_go_on(monkeypatch):
    def broken_thing():
        raise OSError("libtorch.so: cannot open\nlong trace")

    monkeypatch.setattr(doctor, "CHECKS", (("a", broken_thing), ("b", lambda: [FINE])))
    first, second = doctor.examine()
    assert (first.name, first.status, first.group) == ("broken thing", "problem", "a")
    assert first.value == "cannot be checked (OSError: libtorch.so: cannot open)"
    assert "pip install" in first.advice and second.group == "b"


def test_it_runs_where_torch_cannot_be_imported(monkeypatch):
    real = builtins.__import__

    def without_torch(name, *rest, **more):
        if name.split(".")[0] == "torch":
            raise ImportError("no torch here")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    for check in (machine.devices, machine.arithmetic):
        (found,) = health.guarded("x", check)
        assert found.status == "problem" and "no torch here" in found.value


def test_importing_the_doctor_imports_nothing_that_may_be_broken():
    code = "import sys, reidlab.cli.doctor; print({'torch', 'numpy', 'tyro'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- packages ---


def test_a_package_is_missing_too_old_broken_or_fine(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.10.1+cu130")
    monkeypatch.setattr(importlib, "import_module", lambda _: None)
    assert health.check_package("torch", "2.9").status == "ok"
    assert health.check_package("torch", "2.10.1").status == "ok"
    old = health.check_package("torch", "2.11")
    assert old.status == "problem" and "needed 2.11 or newer" in old.value
    missing = OSError("undefined symbol: x")
    monkeypatch.setattr(importlib, "import_module", lambda _: (_ for _ in ()).throw(missing))
    broken = health.check_package("torch", "2.9")
    assert broken.status == "problem" and "undefined symbol" in broken.value
    monkeypatch.undo()
    absent = health.check_package("surely-no-such-package", "1.0")
    assert absent.status == "problem" and absent.value == "not installed" and absent.advice


def test_requirements_come_from_the_checkout_or_the_installed_package(monkeypatch):
    here = health.requirements()
    assert here["torch"] == "2.14" and "jupyterlab" in here and "pytest" not in here
    lines = ["torch>=2.14", "ray[data]>=2.40; extra == 'scale'", "jupyterlab >=4.2"]
    monkeypatch.setattr(health, "in_checkout", lambda: False)
    monkeypatch.setattr("importlib.metadata.requires", lambda _: lines)
    lines[1] = 'ray[data]>=2.40; extra == "scale"'
    assert health.requirements() == {"torch": "2.14", "jupyterlab": "4.2"}
    assert health.reinstall("map") == 'pip install --upgrade "reidlab[map]"'


def test_only_packages_that_differ_from_the_tested_ones_are_named():
    pins = health.read_pins("torch==2.15.0\nnumpy==2.4.6\nray==3.0\n")
    assert pins == {"torch": "2.15.0", "numpy": "2.4.6", "ray": "3.0"}
    same = health.compare_pins(pins, {"torch": "2.15.0+cpu", "numpy": "2.4.6"})
    assert same.status == "ok" and "2 packages as tested" in same.value
    other = health.compare_pins(pins, {"torch": "2.15.0", "numpy": "2.4.5"})
    assert other.status == "note" and "1 of 2" in other.value
    assert "numpy 2.4.5 (tested: 2.4.6)" in other.value and "torch" not in other.value
    many = {f"p{i:02}": "1" for i in range(9)}
    long = health.compare_pins(many, dict.fromkeys(many, "2"))
    assert "p05 2" in long.value and "p06" not in long.value and "and 3 more" in long.value


def test_a_jupyter_without_a_python_is_a_problem(monkeypatch):
    found = {"ir": "somewhere"}
    monkeypatch.setattr(
        "jupyter_client.kernelspec.KernelSpecManager.find_kernel_specs", lambda _: found
    )
    assert health.kernel().status == "problem" and "ipykernel" in health.kernel().advice
    found["python3"] = "here"
    assert health.kernel().status == "ok"


def test_an_extra_says_what_it_gives_and_how_to_get_it(monkeypatch):
    absent = health.check_extra("faiss-cpu", "surely_no_such_module", "faiss", "FAISS indices")
    assert absent.status == "ok" and absent.value == "not installed; [faiss] for FAISS indices"
    assert "[faiss]" in absent.advice
    there = health.check_extra("numpy", "numpy", "x", "arrays")
    assert there.value.endswith(", for arrays") and "not installed" not in there.value
    project = Path(__file__).parents[1] / "pyproject.toml"
    groups = health.tomllib.loads(project.read_text())["project"]["optional-dependencies"]
    for name, (_, extra, _) in health.EXTRAS.items():
        assert any(line.startswith(name) for line in groups[extra]), name


def test_a_browser_is_looked_for_where_the_tests_look(monkeypatch, tmp_path):
    (tmp_path / "chrome").touch()
    monkeypatch.setenv("REIDLAB_CHROMIUM", str(tmp_path / "chrome"))
    assert health.browser()[0].value.startswith(str(tmp_path / "chrome"))
    monkeypatch.setenv("REIDLAB_CHROMIUM", str(tmp_path / "nowhere"))
    assert health.browser()[0].status == "note" and "no file" in health.browser()[0].value
    monkeypatch.delenv("REIDLAB_CHROMIUM")
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    monkeypatch.setattr("shutil.which", lambda name: "/opt/x" if name == "chrome" else None)
    assert health.browser()[0].advice == "set REIDLAB_CHROMIUM=/opt/x"
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert health.browser()[0].status == "ok" and "not installed" in health.browser()[0].value


# --- data and models ---


def test_datasets_are_found_below_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("REIDLAB_DATA", str(tmp_path))
    before = {one.name: one.value for one in health.datasets()}
    assert before["looked for in"] == f"{tmp_path} ($REIDLAB_DATA)"
    assert "market1501" in before["benchmarks"] and "not rendered" in before["synthetic"]
    (tmp_path / "Market-1501-v15.09.15").mkdir()
    (tmp_path / "cache" / "synthetic" / "one").mkdir(parents=True)
    after = {one.name: one.value for one in health.datasets()}
    assert "Market-1501-v15.09.15" in after["market1501"]
    assert "market1501" not in after["benchmarks"] and after["synthetic"] == "1 rendered"


def test_caches_are_measured(monkeypatch, tmp_path):
    for name, variable in (("d", "REIDLAB_DATA"), ("t", "TORCH_HOME"), ("h", "HF_HUB_CACHE")):
        monkeypatch.setenv(variable, str(tmp_path / name))
    assert [one.value for one in health.caches()] == ["none yet"]
    (tmp_path / "d" / "cache" / "deep").mkdir(parents=True)
    (tmp_path / "d" / "cache" / "deep" / "file").write_bytes(bytes(1500))
    (tmp_path / "d" / "cache" / "file").write_bytes(bytes(1000))
    (tmp_path / "h").mkdir()
    found = {one.name: one.value for one in health.caches()}
    assert found["datasets"] == f"2.5 KB in {tmp_path / 'd' / 'cache'}"
    assert found["hugging face"].startswith("0 bytes") and "torch" not in found


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1e6, "1.0 MB"), (2.5e12, "2500.0 GB")]
)
def test_sizes_are_readable(count, text):
    assert readable(count) == text


def test_a_damaged_shipped_model_is_a_problem(monkeypatch, tmp_path):
    monkeypatch.setattr(health, "shipped", lambda _: None)
    assert health.checkpoints()[0].status == "ok"
    card = {"origin": {"model": "small", "arguments": {}}, "preprocess": {}}
    for name, text in (("good", json.dumps(card)), ("bad", "{")):
        (tmp_path / f"{name}.safetensors").write_bytes(bytes(1200))
        (tmp_path / f"{name}.json").write_text(text)
    monkeypatch.setattr(health, "shipped", lambda _: tmp_path)
    bad, good = health.checkpoints()
    assert (good.status, good.value) == ("ok", "small, 1.2 KB")
    assert (bad.name, bad.status) == ("bad", "problem") and "bad.json" in bad.value


# --- the machine ---


def test_more_threads_than_cores_are_noted():
    assert machine.check_threads(2, 2, None).status == "ok"
    many = machine.check_threads(8, 2, "8")
    assert many.status == "note" and many.advice == "set OMP_NUM_THREADS=2"
    assert "OMP_NUM_THREADS = 8" in many.value


def test_limits_of_control_groups_are_read(tmp_path):
    root, own = tmp_path / "cgroup", tmp_path / "own"
    (root / "jobs" / "mine").mkdir(parents=True)
    own.write_text("1:cpu:/other\n0::/jobs/mine\n")
    groups = machine.control_groups(root, own)
    assert groups == [root / "jobs" / "mine", root / "jobs", root]
    assert machine.cpu_quota(groups) is None and machine.memory_limit(groups) is None
    (root / "cpu.max").write_text("max 100000\n")
    (root / "memory.max").write_text("max\n")
    assert machine.cpu_quota(groups) is None and machine.memory_limit(groups) is None
    (root / "jobs" / "cpu.max").write_text("150000 100000\n")
    (root / "jobs" / "mine" / "memory.max").write_text("3000000000\n")
    (root / "jobs" / "memory.max").write_text("2000000000\n")
    assert machine.cpu_quota(groups) == 1.5 and machine.memory_limit(groups) == 2_000_000_000
    assert machine.usable_cores(groups) == min(2, len(os.sched_getaffinity(0)))
    assert machine.control_groups(root, tmp_path / "none") == [root]


def test_limits_of_older_control_groups_are_read(tmp_path):
    for folder, name, text in (
        ("cpu", "cpu.cfs_quota_us", "-1"),
        ("cpu", "cpu.cfs_period_us", "100000"),
        ("memory", "memory.limit_in_bytes", str(2**63 - 4096)),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(text)
    assert machine.cpu_quota([tmp_path]) is None and machine.memory_limit([tmp_path]) is None
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("50000")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("1000")
    assert machine.cpu_quota([tmp_path]) == 0.5 and machine.memory_limit([tmp_path]) == 1000
    assert machine.usable_cores([tmp_path]) == 1


@pytest.mark.parametrize(
    ("available", "total", "limit", "status", "text"),
    [
        (8e9, 16e9, None, "ok", "8.0 GB of 16.0 GB free"),
        (8e9, 16e9, 64e9, "ok", "8.0 GB of 16.0 GB free"),
        (1e9, 16e9, None, "note", "1.0 GB of 16.0 GB free"),
        (8e9, 16e9, 1e9, "note", "8.0 GB of 16.0 GB free, 1.0 GB allowed for this process"),
    ],
)
def test_little_memory_is_noted(available, total, limit, status, text):
    found = machine.check_memory(int(available), int(total), limit and int(limit))
    assert (found.status, found.value) == (status, text)


def test_a_folder_is_tried_and_left_as_it_was(tmp_path, monkeypatch):
    missing = tmp_path / "a" / "b"
    found = machine.check_folder("data", missing, "problem", "advice")
    assert found.status == "ok" and str(missing) in found.value
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**9))
    full = machine.check_folder("data", missing, "problem", "advice")
    assert full.status == "note" and full.value.startswith("1.0 GB free")

    def refused(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    closed = machine.check_folder("data", missing, "problem", "advice")
    assert (closed.status, closed.advice) == ("problem", "advice")
    assert "Read-only file system" in closed.value and str(tmp_path) in closed.value
    assert [one.status for one in machine.folders()] == ["problem", "note", "problem"]


def test_a_graphics_card_is_described(monkeypatch):
    memory = [100e9, 150e9]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: memory)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda i: f"Card {i}")
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(machine, "pick_device", lambda: torch.device("cuda"))
    found = {one.name: one for one in machine.devices()}
    assert found["cuda:1"].value.startswith("Card 1, 100.0 GB of 150.0 GB free, bf16, CUDA ")
    assert found["cuda:0"].status == "ok" and found["computes on"].value == "cuda"
    memory[0] = 1e9
    assert {one.name: one for one in machine.devices()}["cuda:0"].status == "note"


def test_a_graphics_card_that_torch_cannot_use_is_noted():
    assert machine._no_gpu("13.2", None).status == "ok"
    assert "CPU only" in machine._no_gpu(None, "/usr/bin/nvidia-smi").value
    old = machine._no_gpu("13.2", "/usr/bin/nvidia-smi")
    assert old.status == "note" and "built for CUDA 13.2" in old.value


def test_wrong_arithmetic_is_a_problem(monkeypatch):
    monkeypatch.setattr(machine, "_seconds_per_call", lambda call, budget: 1e-3)
    monkeypatch.setattr(machine, "pick_device", lambda: torch.device("cpu"))
    (right,) = machine.arithmetic()
    assert right.status == "ok"
    assert right.value.startswith("1,812 GFLOP/s")  # 6 x 16 x 32 x 16 x 64 x 64 x 9 per call
    real = torch.nn.functional.conv2d

    def wrong(x, weight, **settings):
        return real(x, weight, **settings) * (1.0 if x.dtype == torch.float64 else 1.01)

    monkeypatch.setattr("torch.nn.functional.conv2d", wrong)
    (found,) = machine.arithmetic()
    assert found.status == "problem" and "relative error 0.02" in found.value


def test_blank_text_is_a_problem(monkeypatch):
    monkeypatch.setattr(machine, "_seconds_per_call", lambda call, budget: 1e-3)
    jpeg, fonts = machine.pictures()
    assert jpeg.value.startswith("1,000 crops") and fonts.status == "ok"
    monkeypatch.setattr("matplotlib.figure.Figure.text", lambda *_, **__: None)
    assert machine.pictures()[1].status == "problem"
