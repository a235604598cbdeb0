"""The secrets scan: planted credentials are found and masked, real source is left alone."""

from __future__ import annotations

from typing import Any

import pytest
from secret_scan import entropy, scan

# Put together here, so that no scanner takes this file for a leak.
PLANTED = {
    "aws-access-key": "key = 'AKIA" + "IOSFODNN7ABCDEFG'",
    "github-token": "# ghp_" + "a1B2" * 9,
    "slack-token": "xoxb-" + "123456789012-abcdef",
    "private-key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "url-password": "postgres://app:s3cr3tPw" + "@db.internal/x",
    "hard-coded-password": "db_password = 'hX9" + "$kq2LmZ7'",
    "json-web-token": "eyJhbGciOiJI" + ".eyJzdWIiOiIx" + ".SflKxwRJSMeK",
    "stripe-key": "sk_live_" + "4eC39HqLyjWDarjtT1zd",
}


@pytest.mark.parametrize("rule", sorted(PLANTED))
def test_planted_credentials(rule: str) -> None:
    line = PLANTED[rule]
    (found,) = scan(f"import os\n\n{line}\n")
    assert (found["rule"], found["line"]) == (rule, 3)
    assert "****" in str(found["excerpt"])
    assert line[-6:-1] not in str(found["excerpt"]) or rule in ("url-password", "private-key")


def test_the_secret_itself_is_masked() -> None:
    (found,) = scan(PLANTED["url-password"])
    assert "s3cr3tPw" not in str(found["excerpt"])
    assert "@db.internal" in str(found["excerpt"])


@pytest.mark.parametrize(
    "line",
    [
        "password = 'changeme123'",
        "password = getpass.getpass()",
        "api_key = 'YOUR_API_KEY_1'",
        "secret = 'a sentence with 3 words'",
        "token_url = 'https://user:password@example.com'",
        "PASSWORD_FIELD = 'password_field'",
    ],
)
def test_placeholders_are_left_alone(line: str) -> None:
    assert [entry for entry in scan(line) if entry["rule"] != "url-password"] == []


def test_the_standard_library_holds_no_credentials(standard_sources: dict[str, str]) -> None:
    found: list[Any] = [(path, scan(source)) for path, source in standard_sources.items()]
    assert [item for item in found if item[1]] == []


def test_entropy() -> None:
    assert entropy("aaaa") == 0
    assert entropy("abcd") == 2
