"""The lists of packages agree, and the project's files say what they must."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(\[[\w,]+\])?>=([\w.]+)$")


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def bounds(requirements):
    """Package name -> lower bound; anything but `name>=version` is a mistake."""
    found = {}
    for requirement in requirements:
        match = REQUIREMENT.match(requirement)
        assert match, f"{requirement!r} is not a plain lower bound"
        found[canonical(match[1])] = match[3]
    return found


def version(text):
    return [int(part) for part in re.findall(r"\d+", text)]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.]+", line) for line in lines), "name==version"
    return {canonical(name): pin for name, pin in (line.split("==") for line in lines)}


def test_constraints_pin_every_package_at_or_above_its_bound(project, pins):
    groups = project["project"]["optional-dependencies"]
    wanted = bounds(project["project"]["dependencies"])
    for group in ("dev", "log", "mat"):
        wanted |= bounds(groups[group])
    for name, bound in wanted.items():
        assert name in pins, f"{name} is missing from constraints.txt"
        assert version(pins[name]) >= version(bound), f"{name}: {pins[name]} < {bound}"


def test_conda_users_get_the_same_packages(project):
    lines = (ROOT / "environment.yml").read_text().splitlines()
    listed = [line.strip().removeprefix("- ") for line in lines if ">=" in line]
    listed = [line for line in listed if not line.startswith("python>=")]
    assert bounds(listed) == bounds(project["project"]["dependencies"])
    assert f"python{project['project']['requires-python']}" in " ".join(lines)


def test_extras_have_plain_lower_bounds(project):
    groups = project["project"]["optional-dependencies"]
    assert set(groups) == {"map", "scale", "faiss", "web", "log", "mat", "dev"}
    for requirements in groups.values():
        bounds(requirements)


def test_what_lies_in_data_travels_inside_the_wheel(project):
    """Folders of `data` that git knows; a new one has to be added to both lists."""
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    known = subprocess.run(["git", "ls-files", "data"], cwd=ROOT, capture_output=True, text=True)
    if known.returncode or not known.stdout:
        pytest.skip("not a git checkout")
    committed = {"/".join(line.split("/")[:2]) for line in known.stdout.split()}
    assert committed == set(included)
    for source, target in included.items():
        assert (ROOT / source).exists()
        assert target == source.replace("data/", "reidlab/assets/", 1)


def test_every_folder_of_code_is_a_package():
    folders = {file.parent for file in (ROOT / "reidlab").rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_continuous_integration_runs_the_command_of_the_readme():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    readme = (ROOT / "README.md").read_text()
    assert "make lab" in readme and "make test" in readme


def test_the_package_named_data_is_not_ignored_by_git():
    ignored = subprocess.run(
        ["git", "check-ignore", "reidlab/data/samples.py", "data/README.md"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "not a git repository" in ignored.stderr:
        pytest.skip("not a git checkout")
    assert ignored.stdout == ""


def test_no_file_names_a_machine_or_a_registry():
    texts = [
        path
        for pattern in ("*.md", "*.toml", "*.txt", "*.yml", "Makefile", "reidlab/**/*.py")
        for path in ROOT.glob(pattern)
    ]
    for path in texts:
        text = path.read_text()
        assert not re.search(r"(?<![\w.])/(home|root|Users|tmp)/\w", text), path
        assert not re.search(r"pypi\.org|index-url|download\.pytorch\.org", text), path
