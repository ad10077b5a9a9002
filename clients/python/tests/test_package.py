"""What is generated, and what is said in two places, agrees with the repository."""

from __future__ import annotations

import re
import subprocess
import sys

from conftest import REPOSITORY

import gantral

PACKAGE = REPOSITORY / "clients" / "python"


def test_types_are_those_of_the_openapi_document() -> None:
    script = PACKAGE / "scripts" / "generate_types.py"
    ran = subprocess.run([sys.executable, "-B", script, "--check"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_version_is_that_of_the_server() -> None:
    pattern = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)
    texts = [(PACKAGE / "pyproject.toml").read_text(), (REPOSITORY / "Cargo.toml").read_text()]
    versions = {match.group(1) for match in map(pattern.search, texts) if match}
    assert versions == {gantral.__version__}


def test_every_public_name_is_documented() -> None:
    for name in gantral.__all__:
        assert name == "__version__" or getattr(gantral, name).__doc__, name
