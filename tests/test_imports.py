"""Imports point left: each file may import itself and what stands before it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import reidlab

PACKAGE = Path(reidlab.__file__).parent
ORDER = (
    "paths data models losses ssl checkpoints training recipes embedding ranking evaluation "
    "calibration claims plots explorer widgets course cli"
).split()


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reidlab."):
            yield node.module.split(".")[1]
        if isinstance(node, ast.ImportFrom) and node.module == "reidlab":
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("reidlab."))


@pytest.mark.parametrize(
    "file", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_point_left(file):
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own in ("__init__", "__main__"):
        return
    assert own in ORDER, f"{own} has no place in the order of imports"
    names = [name for name in imported(ast.parse(file.read_text())) if name in ORDER]
    right = {name for name in names if ORDER.index(name) > ORDER.index(own)}
    assert not right, f"{own} imports {right}, which stand to its right"


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, reidlab; print(sorted({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in reidlab.__all__:
        assert getattr(reidlab, name) is not None
    assert set(reidlab.__all__) <= set(dir(reidlab))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = reidlab.nonsense
