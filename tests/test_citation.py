"""CITATION.cff says the same as pyproject.toml and the package."""

import datetime
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import reidlab

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_it_has_what_the_format_asks_for(citation):
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    for key in ("message", "title", "abstract"):
        assert isinstance(citation[key], str) and citation[key]
    known = {
        "cff-version", "message", "type", "title", "abstract", "authors", "version",
        "date-released", "license", "repository-code", "keywords",
    }  # fmt: skip
    assert set(citation) <= known
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", citation["date-released"])
    datetime.date.fromisoformat(citation["date-released"])


def test_version_and_licence_agree_with_the_package(citation, project):
    assert citation["version"] == project["version"] == reidlab.__version__
    assert citation["license"] == project["license"]
    assert citation["title"] == project["name"]


def test_authors_keywords_and_address_agree_with_the_package(citation, project):
    assert citation["authors"] == project["authors"]
    assert citation["keywords"] == project["keywords"]
    assert citation["repository-code"] == project["urls"]["Repository"]


def test_the_address_in_pages_is_that_of_the_repository(project):
    from reidlab.course.markup import REPOSITORY

    assert project["urls"]["Repository"] == REPOSITORY
